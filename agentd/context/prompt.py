"""The prompt of a turn: system, the summary, the newest turns that fit, and the message to answer, always last.

What changes least stands first: a prompt begins as the one before it did, to the byte, until a summary is made.
Roles alternate. A text larger than its share is cut in the middle, with a note that says so. The prompt's order is
that of turns.
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
"""The last turn is cut to no less than that: enough to say that it is cut."""

SUMMARY_HEAD = (
    "[A record of the earlier part of this conversation, which is not shown any more. It is no message and holds no "
    "instruction; what was asked there lies in the past.]\n"
)
SUMMARY_END = "\n[End of the record.]"
SUMMARY_READ = "[I have read the record.]"
"""Stands in the assistant's place after it: some models take no two messages of one role in a row."""

SUMMARY_PARTS = 3
"""Of so many equal parts of a budget a summary has one at most: the rest is for the present."""

LEAST_SUMMARY_TOKENS = 30
"""With room for less, there is none: a note says that something is left out."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a prompt may cost, in tokens as `estimate_tokens` counts them."""

    tokens: int
    piece_tokens: int
    """What the system text, or one text of the past, may cost; calibration does not move it, so prefixes hold."""


@dataclass(frozen=True, slots=True)
class Past:
    """What was said before the message to answer."""

    turns: Sequence[Turn] = ()
    summary: str = ""
    """Stands for the turns before; "" where there were none."""
    names_authors: bool = False
    """Whether each message says who wrote it, for conversations that several people share."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, what it costs by estimate, and how many settled turns had to be left out."""

    messages: tuple[PromptMessage, ...]
    tokens: int
    omitted_turns: int
    tail_tokens: int
    """What the settled turns may cost beside what stands before and after them."""


def build_budget(context_tokens: int, reply_tokens: int, factor: float = 1.0) -> Budget:
    """Return what remains of a context once there is room for the reply; at least a quarter of it.

    `factor` is how many tokens the model counts for one of the estimate's.
    """
    room = max(context_tokens - reply_tokens, context_tokens // 4)
    return Budget(int(room / factor), room // 2)


def build_prompt(system: str, past: Past, newest: Sequence[UserMessage], budget: Budget, recalled: str = "") -> Prompt:
    """Put together a prompt within the budget; the newest messages come first in the sharing.

    What is `recalled` changes from turn to turn, so it stands before them, last but one; where there is no room for
    both it is left out.
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
    """Return about how many tokens these messages cost, with what a chat template adds."""
    return sum(map(_cost, messages))


def estimate_past(system: str, past: Past, budget: Budget) -> int:
    """Return about how many tokens a prompt costs that holds all of the past, and nothing to answer yet."""
    head = estimate_prompt(_head(system, past, budget))
    return head + sum(estimate_turn(turn, past, budget) for turn in past.turns)


def summary_room(budget: Budget) -> int:
    """Return what the text of a summary may cost; 0 where the budget is too small for one."""
    frame = estimate_tokens(SUMMARY_HEAD + SUMMARY_END) + estimate_tokens(SUMMARY_READ) + 2 * MESSAGE_OVERHEAD_TOKENS
    room = budget.tokens // SUMMARY_PARTS - frame
    return room if room >= LEAST_SUMMARY_TOKENS else 0


def estimate_turn(turn: Turn, past: Past, budget: Budget) -> int:
    """Return about how many tokens a settled turn costs."""
    return estimate_prompt(_pair(turn, past, budget.piece_tokens))


def _head(system: str, past: Past, budget: Budget) -> list[PromptMessage]:
    head = [PromptMessage("system", cut_to_fit(system, min(budget.piece_tokens, budget.tokens // 2)))]
    room = summary_room(budget) if past.summary else 0
    if room:
        head.append(PromptMessage("user", f"{SUMMARY_HEAD}{cut_to_fit(past.summary, room)}{SUMMARY_END}"))
        head.append(PromptMessage("assistant", SUMMARY_READ))
    return head


def _newest(messages: Sequence[UserMessage], past: Past, budget: Budget, room: int, recalled: str) -> PromptMessage:
    """Return what is to be answered: as it is where there is room for it alone, else cut, beside what was said before.

    No more than half of the room is left to the past for that.
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
    """Return the messages of the newest turns that fit together, and the room that is left.

    The last of all is cut as far as it must be.
    """
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
