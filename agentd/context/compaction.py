"""Plans compactions: when a summary is due, which turns it takes in, and how they are rendered for the model. Pure.

A summary replaces whole turns, from the conversation's first on; it ends before the messages that are kept, and before
every waiting message. One record takes in no more than a model reads at once: a long past is summarised record by
record, and each is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from math import inf

from agentd.context.cutting import boundary, cut_to_fit
from agentd.context.prompt import Budget, Past, estimate_turn
from agentd.context.rendering import render_ending, render_messages
from agentd.context.tokens import estimate_tokens
from agentd.transcript.view import Turn

__all__ = ["SOURCE_CHARACTERS", "Chunk", "Extent", "find_cut", "plan_chunk", "render_source"]

SOURCE_CHARACTERS = 12_000
"""The most text that one summary is made from (some 3,000 tokens of English); the rest waits for the next one."""

BACKGROUND_SHARE = 0.75
"""The share of the budget from which a summary is made in the background, so that nobody has to wait for one."""

TAIL_SHARE = 0.5
"""The share of the budget that kept turns may have: if they had more, the next summary would be due at once."""

MESSAGES_A_TURN = 2

CUT_NOTE = " [...] "

MATERIAL, MATERIAL_END = "<<<", ">>>"
"""The lines between which the text to summarise stands."""
_FENCES = str.maketrans({"<": "‹", ">": "›"})

BETWEEN = "\n\n"
BETWEEN_TOKENS = estimate_tokens(BETWEEN)


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a conversation may become, and how much of it a summary leaves as it is."""

    budget: Budget
    most_messages: int
    keep_messages: int

    def is_due(self, past: Past, tokens: int) -> bool:
        """Tell whether a summary is due in the background, for a past whose prompt costs so many tokens."""
        # The message to come adds one.
        is_long = MESSAGES_A_TURN * len(past.turns) + 1 > self.most_messages
        return is_long or tokens > self.budget.tokens * BACKGROUND_SHARE


@dataclass(frozen=True, slots=True)
class Chunk:
    """The turns that one summary takes in, up to the message with the seq `to`."""

    turns: tuple[Turn, ...]
    to: int


def find_cut(past: Past, extent: Extent, *, harder: bool = False, tail_tokens: int | None = None) -> int:
    """Return how many turns, from the first on, should be summarised; `harder`: at least half of all.

    What stays may cost `tail_tokens` at most, and half of the budget at most.
    """
    costs = (estimate_turn(turn, past, extent.budget) for turn in reversed(past.turns))
    room = int(extent.budget.tokens * TAIL_SHARE)
    room = room if tail_tokens is None else min(room, tail_tokens)
    fitting = len(list(takewhile(lambda total: total <= room, accumulate(costs))))
    # Messages are kept in whole turns, rounded up.
    most = -(-extent.keep_messages // MESSAGES_A_TURN)
    if harder:
        most = min(most, len(past.turns) // 2)
    unended = len(list(takewhile(lambda turn: turn.end is None, reversed(past.turns))))
    # The last turn that ended stays, since `/retry` may ask for it.
    return max(len(past.turns) - max(min(most, fitting), unended + 1), 0)


def plan_chunk(past: Past, most_turns: int, waiting: Iterable[int], most_tokens: int = sys.maxsize) -> Chunk | None:
    """Return what the next summary should take in, of the first `most_turns` turns; None if that is nothing.

    `waiting` are the seqs of unanswered messages. If even the first turns exceed what a request holds (`most_tokens`),
    the fewest possible are taken.
    """
    count = max(_fitting((render_turn(turn, past) for turn in past.turns[:most_turns]), most_tokens), 1)
    ends = [end for end in _possible_ends(past.turns, waiting) if end <= most_turns]
    within = [end for end in ends if end <= count] or ends[:1]
    if not within:
        return None
    turns = tuple(past.turns[: within[-1]])
    return Chunk(turns, max(_seqs(turns)))


def render_source(chunk: Chunk, past: Past, most_tokens: int = sys.maxsize) -> str:
    """Return the text of the turns for the model that summarises it; if it is too long, each turn is cut, visibly."""
    texts = [render_turn(turn, past) for turn in chunk.turns]
    if sum(map(len, texts)) > SOURCE_CHARACTERS:
        texts = [_shortened(text, SOURCE_CHARACTERS // len(texts)) for text in texts]
    if sum(map(_cost, texts)) > most_tokens:
        texts = [cut_to_fit(text, most_tokens // len(texts) - BETWEEN_TOKENS) for text in texts]
    return BETWEEN.join(texts)


def render_turn(turn: Turn, past: Past) -> str:
    """Return one turn as text that cannot end the material it stands in."""
    asked = render_messages(turn.messages, names_authors=past.names_authors)
    return fence(f"Person: {asked}\nAssistant: {render_ending(turn.end)}")


def fence(text: str) -> str:
    """Return a text without the lines that would end the material."""
    return text.replace(MATERIAL, MATERIAL.translate(_FENCES)).replace(MATERIAL_END, MATERIAL_END.translate(_FENCES))


def _fitting(texts: Iterable[str], most_tokens: int) -> int:
    """Return how many of the first texts fit into one request."""
    count = characters = tokens = 0
    for text in texts:
        characters, tokens = characters + len(text), tokens + _cost(text)
        if characters > SOURCE_CHARACTERS or tokens > most_tokens:
            break
        count += 1
    return count


def _cost(text: str) -> int:
    return estimate_tokens(text) + BETWEEN_TOKENS


def _possible_ends(turns: Sequence[Turn], waiting: Iterable[int]) -> list[int]:
    """Return the numbers of turns that can be taken in: everything after them, and everything waiting, must be
    newer.
    """
    firsts = accumulate((min(_seqs([turn])) for turn in reversed(turns)), min, initial=min(waiting, default=inf))
    # The oldest turn has none before it, so its beginning bounds nothing.
    lasts = accumulate((max(_seqs([turn])) for turn in turns), max)
    bounds = reversed(list(firsts)[:-1] if turns else [])
    return [number for number, (last, first) in enumerate(zip(lasts, bounds, strict=True), 1) if last < first]


def _seqs(turns: Iterable[Turn]) -> list[int]:
    return [message.seq for turn in turns for message in turn.messages]


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = max((most - len(CUT_NOTE)) // 2, 1)
    return text[: boundary(text, half, -1)] + CUT_NOTE + text[boundary(text, len(text) - half, 1) :]
