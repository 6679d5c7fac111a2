"""This module decides what a fact changes in memory (add, refine, supersede, refuse); every store follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.comparing import Known, compare
from memory.guard import Doubt, Said, ground, read_said
from memory.model import MOST_EVIDENCE, MOST_FACT_CHARS, Deed, Fact
from memory.quotes import MOST_QUOTE_CHARS

__all__ = ["MOST_EVIDENCE", "MOST_FACT_CHARS", "MOST_QUOTE_CHARS", "Step", "decide", "read_said"]


@dataclass(frozen=True, slots=True)
class Step:
    """The decision about one fact."""

    deed: Deed
    fact: Fact
    entry: int | None = None
    """The known entry that it repeats, or whose place it takes."""


def decide(said: Said, fact: Fact, known: Sequence[Known]) -> Step:
    """Decide on one fact; before the next one of the same exchange, the caller updates `known`.

    The assistant's words and what was recalled prove nothing: else memory would learn from itself.
    """
    founded = ground(said, fact, takes_messages=True)
    if isinstance(founded, Doubt):
        return Step(Deed.UNFOUNDED, fact)
    verdict = compare(founded.text, founded.about, known)
    return Step(verdict.deed, founded, verdict.known)
