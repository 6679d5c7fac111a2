"""Builds the prompt of a turn within its token budget: system text, summary, the newest turns that fit, then the
question.

What changes least comes first, for the provider's prompt cache: a prompt begins like the one before, to the byte, until
a summary is made. Roles alternate. A text larger than its share is cut in the middle, with a note that says so. Turns
stand in the order in which they ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentd.context.cutting import cut_to_fit
from agentd.context.rendering import render_ending, render_messages
from agentd.context.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens, may_fit
from agentd.providers.base import PromptMessage
from agentd.transcript.records import UserMessage
from agentd.transcript.view import Turn

__all__ = [
    "Budget",
    "Past",
    "Prompt",
    "build_budget",
    "build_prompt",
    "estimate_past",
    "estimate_prompt",
    "estimate_turn",
    "summary_room",
]

OMITTED_NOTE = "\n\n[Earlier turns of this conversation are left out here: they do not fit.]"

LAST_TURN_TOKENS = 100
"""The last turn is cut to this at least: enough to say that it is cut."""

SUMMARY_HEAD = (
    "[A record of the earlier part of this conversation, which is not shown any more. It is no message and holds no "
    "instruction; what was asked there lies in the past.]\n"
)
SUMMARY_END = "\n[End of the record.]"
SUMMARY_READ = "[I have read the record.]"
"""The assistant's answer to the summary: some models do not take two messages of one role in a row."""

SUMMARY_PARTS = 3
"""A summary gets at most one of so many equal parts of the budget; the rest is for the present."""

LEAST_SUMMARY_TOKENS = 30
"""With less room there is no summary, only a note that something is left out."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a prompt may cost, in tokens as `estimate_tokens` counts them."""

    tokens: int
    piece_tokens: int
    """Limit of the system text, and of each past text; calibration does not change it, so that prompts keep their
    prefix.
    """


@dataclass(frozen=True, slots=True)
class Past:
    """What was said before the question."""

    turns: Sequence[Turn] = ()
    summary: str = ""
    """Replaces the turns before; "" if there were none."""
    names_authors: bool = False
    """Whether each message names its author, in conversations that several people share."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The messages to send, their estimated cost, and how many past turns did not fit."""

    messages: tuple[PromptMessage, ...]
    tokens: int
    omitted_turns: int
    tail_tokens: int
    """The room for past turns, beside what stands before and after them."""


def build_budget(context_tokens: int, reply_tokens: int, factor: float = 1.0) -> Budget:
    """Return what is left of a context after the room for the reply; at least a quarter of it.

    `factor` is how many tokens the model counts per estimated token.
    """
    room = max(context_tokens - reply_tokens, context_tokens // 4)
    return Budget(int(room / factor), room // 2)


def build_prompt(system: str, past: Past, newest: Sequence[UserMessage], budget: Budget, recalled: str = "") -> Prompt:
    """Build a prompt within the budget; the question gets its room first.

    `recalled` (memory's text) changes from turn to turn, so it stands last, just before the question; if both do not
    fit, it is left out.
    """
    head = _head(system, past, budget)
    spare = estimate_tokens(OMITTED_NOTE)
    room = budget.tokens - estimate_prompt(head) - spare
    last = _newest(newest, past, budget, room, recalled)
    tail_tokens = room - _cost(last)
    tail, room = _newest_that_fit(past, budget.piece_tokens, tail_tokens)
    omitted = len(past.turns) - len(tail) // 2
    if omitted or (past.summary and not summary_room(budget)):
        head[0] = PromptMessage("system", head[0].content + OMITTED_NOTE)
        spare = 0
    return Prompt((*head, *tail, last), budget.tokens - room - spare, omitted, tail_tokens)


def estimate_prompt(messages: Sequence[PromptMessage]) -> int:
    """Return about how many tokens these messages cost, including what a chat template adds."""
    return sum(map(_cost, messages))


def estimate_past(system: str, past: Past, budget: Budget) -> int:
    """Return about how many tokens a prompt with all of the past, and no question, costs."""
    head = estimate_prompt(_head(system, past, budget))
    return head + sum(estimate_turn(turn, past, budget) for turn in past.turns)


def summary_room(budget: Budget) -> int:
    """Return the token limit of a summary's text; 0 if the budget is too small for a summary."""
    frame = estimate_tokens(SUMMARY_HEAD + SUMMARY_END) + estimate_tokens(SUMMARY_READ) + 2 * MESSAGE_OVERHEAD_TOKENS
    room = budget.tokens // SUMMARY_PARTS - frame
    return room if room >= LEAST_SUMMARY_TOKENS else 0


def estimate_turn(turn: Turn, past: Past, budget: Budget) -> int:
    """Return about how many tokens a past turn costs."""
    return estimate_prompt(_pair(turn, past, budget.piece_tokens))


def _head(system: str, past: Past, budget: Budget) -> list[PromptMessage]:
    head = [PromptMessage("system", cut_to_fit(system, min(budget.piece_tokens, budget.tokens // 2)))]
    room = summary_room(budget) if past.summary else 0
    if room:
        head.append(PromptMessage("user", f"{SUMMARY_HEAD}{cut_to_fit(past.summary, room)}{SUMMARY_END}"))
        head.append(PromptMessage("assistant", SUMMARY_READ))
    return head


def _newest(messages: Sequence[UserMessage], past: Past, budget: Budget, room: int, recalled: str) -> PromptMessage:
    """Return the question: whole if there is room for it alone, else cut, to leave up to half of the room to
    the past.
    """
    text, most = render_messages(messages, names_authors=past.names_authors), room - MESSAGE_OVERHEAD_TOKENS
    if recalled and cut_to_fit(recalled + text, most) == recalled + text:
        return PromptMessage("user", recalled + text)
    whole = cut_to_fit(text, most)
    if whole == text:
        return PromptMessage("user", whole)
    tail = sum(estimate_turn(turn, past, budget) for turn in past.turns)
    return PromptMessage("user", cut_to_fit(text, max(most // 2, most - tail)))


def _newest_that_fit(past: Past, piece_tokens: int, room: int) -> tuple[list[PromptMessage], int]:
    """Return the messages of the newest turns that fit together, and the room left; the last turn is cut if need be."""
    pairs: list[tuple[PromptMessage, PromptMessage]] = []
    for turn in reversed(past.turns):
        pair = _pair(turn, past, piece_tokens)
        if not pairs and room >= LAST_TURN_TOKENS and estimate_prompt(pair) > room:
            pair = _pair(turn, past, room // 2 - MESSAGE_OVERHEAD_TOKENS)
        if not all(may_fit(message.content, room) for message in pair):
            break
        cost = estimate_prompt(pair)
        if cost > room:
            break
        room -= cost
        pairs.append(pair)
    return [message for pair in reversed(pairs) for message in pair], room


def _pair(turn: Turn, past: Past, piece_tokens: int) -> tuple[PromptMessage, PromptMessage]:
    asked = render_messages(turn.messages, names_authors=past.names_authors)
    return (
        PromptMessage("user", cut_to_fit(asked, piece_tokens)),
        PromptMessage("assistant", cut_to_fit(render_ending(turn.end), piece_tokens)),
    )


def _cost(message: PromptMessage) -> int:
    return estimate_tokens(message.content) + MESSAGE_OVERHEAD_TOKENS
