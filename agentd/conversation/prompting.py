"""Builds what the model is asked about a question: asks memory, loads images, and lets a summary make room."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agentd.context.prompt import Budget, Prompt, build_prompt
from agentd.conversation.compacting import Compactor, past_of
from agentd.conversation.deadline import TurnDeadline
from agentd.conversation.enclosing import load_images
from agentd.conversation.question import Question
from agentd.conversation.recalling import recall
from agentd.conversation.wiring import Wiring
from agentd.providers.base import CompletionRequest
from agentd.transcript.store import Session

__all__ = ["Asking", "PromptBuilder"]

IMAGE_TOKENS = 1_500
"""Upper bound of what one image costs with the models that read images, which scale it down."""

MOST_WAITS = 2
"""One wait for the summary that is being made, one for a summary that makes as much room as this turn needs."""

TAIL_SHARE = 0.8
"""The share of the room beside the question that old turns may keep: the coming summary may be longer than the last."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A request, with what is known of it."""

    request: CompletionRequest
    tokens: int
    """What its texts cost by estimate."""
    has_images: bool
    omitted_turns: int
    next_seq: int
    """The session's next seq when the request began to be built: what was recorded since may not be in it."""


class PromptBuilder:
    """Builds the requests of one turn."""

    def __init__(self, wiring: Wiring, session: Session, compactor: Compactor, deadline: TurnDeadline) -> None:
        """Wait for summaries within the turn's deadline."""
        self._wiring = wiring
        self._session = session
        self._compactor = compactor
        self._deadline = deadline

    async def build(self, question: Question, budget: Budget, most_waits: int = MOST_WAITS) -> Asking:
        """Build a request; where not every turn fits, wait so many times at most for a summary to make room.

        Raises CutOff if the turn is cut, or its time is over.
        """
        next_seq, messages, key = self._session.view.next_seq, question.messages, self._session.key
        recalled = await recall(self._wiring.memory, key, messages, budget.tokens)
        images = await load_images(messages, key, self._wiring.enclosures)
        budget = replace(budget, tokens=max(budget.tokens - len(images) * IMAGE_TOKENS, budget.tokens // 2))
        prompt = self._prompt(question, budget, recalled)
        for _ in range(most_waits):
            if not prompt.omitted_turns:
                break
            await self.make_room(int(prompt.tail_tokens * TAIL_SHARE))
            prompt = self._prompt(question, budget, recalled)
        asked = (*prompt.messages[:-1], replace(prompt.messages[-1], images=images))
        request = CompletionRequest(asked, self._wiring.max_output_tokens, self._wiring.temperature)
        return Asking(request, prompt.tokens, bool(images), prompt.omitted_turns, next_seq)

    async def make_room(self, tail_tokens: int | None = None) -> None:
        """Wait for a summary that leaves old turns so much room. Raises CutOff as `build` does."""
        async with self._deadline.waiting():
            await self._compactor.make_room(tail_tokens)

    def _prompt(self, question: Question, budget: Budget, recalled: str) -> Prompt:
        past = past_of(self._session)
        past = replace(past, turns=question.earlier(past.turns))
        return build_prompt(self._wiring.settings.system_prompt, past, question.messages, budget, recalled)
