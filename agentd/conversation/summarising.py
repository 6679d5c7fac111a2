"""Asks a model for one summary: sends no more than it can read, and stops listening after what would be kept."""

from __future__ import annotations

import sys
from dataclasses import replace

from agentd.context.compaction import Chunk, render_source
from agentd.context.prompt import Budget, Past, estimate_prompt, summary_room
from agentd.context.summary import (
    ANSWER_CHARACTERS,
    LEAST_TOKENS,
    Capacity,
    build_summary_request,
    parse_summary,
)
from agentd.context.tokens import estimate_tokens
from agentd.conversation.metering import UsageMeter
from agentd.conversation.wiring import Wiring
from agentd.providers.base import Usage
from agentd.providers.collecting import Answer, Endless, collect
from agentd.transcript.store import Session

__all__ = ["SummaryAuthor", "Unusable"]

SUMMARY_SHARE = 0.8
"""The share of a prompt's room for a summary to aim at, since that room varies with the calibration."""

ANSWER_SHARE = 0.75
"""The share of what it replaces that a summary may have: so a model that writes until it is stopped still saves room.
"""


class Unusable(Exception):
    """The model's answer is unusable as a summary, or what it summarises has changed meanwhile."""


class SummaryAuthor:
    """Writes the summaries of one session, with the background model."""

    def __init__(self, wiring: Wiring, session: Session, meter: UsageMeter) -> None:
        """Begin with requests as long as the settings allow."""
        self._wiring = wiring
        self._session = session
        self._meter = meter
        self._most_tokens = sys.maxsize

    def capacity(self, budget: Budget) -> Capacity:
        """Return how much the model reads and writes at once, and how much room a prompt with this budget has."""
        most = self._wiring.settings.max_context_tokens
        context = min(most, self._wiring.background.context_tokens or most)
        room = int(summary_room(budget) * SUMMARY_SHARE)
        # What a prompt has no room for need not be written: in a small context, more is left for reading.
        most_output = min(self._wiring.max_output_tokens, int(room * self._meter.factor))
        return Capacity(int(context / self._meter.factor), most_output, room, self._most_tokens)

    def narrow(self, chunk: Chunk, past: Past, budget: Budget) -> bool:
        """Halve what the model is given, since it found this chunk too long; return False if that leaves next to
        nothing.
        """
        given = estimate_tokens(render_source(chunk, past, self.capacity(budget).source_tokens(past.summary)))
        self._most_tokens = given // 2
        return given > LEAST_TOKENS

    async def write(self, chunk: Chunk, past: Past, budget: Budget, *, most_tokens: int) -> tuple[str, str]:
        """Return a summary for prompts with this budget, and the name of its model; longer than `most_tokens` is no
        use.

        Raises Unusable, OverBudget, and what providers raise.
        """
        capacity, answer = self.capacity(budget), Answer()
        request = build_summary_request(chunk, past, capacity)
        most = max(int(most_tokens * ANSWER_SHARE), 1)
        request = replace(request, max_output_tokens=min(request.max_output_tokens, most))
        estimated = estimate_prompt(request.messages)
        author = self._session.key.sender or _last_author(chunk)
        self._meter.admit(author, estimated, request.max_output_tokens)
        try:
            await collect(self._wiring.background.stream(request), answer, ANSWER_CHARACTERS)
        except Endless:
            raise Unusable("the model's answer does not come to an end") from None
        finally:
            if answer.text or answer.done:
                self._meter.book(author, estimated, answer.done.usage if answer.done else Usage(), answer.text)
        if answer.done is None or answer.done.reason == "filtered":
            why = "the model's provider withheld the summary" if answer.done else "the model's answer has no end"
            raise Unusable(why)
        return parse_summary(answer.text, capacity.summary_tokens), answer.done.model


def _last_author(chunk: Chunk) -> str:
    """Return the platform's id of who wrote the last summarised message; "" if none is on record."""
    sources = [message.source for turn in chunk.turns for message in turn.messages]
    return next((source.author.id for source in reversed(sources) if source is not None), "")
