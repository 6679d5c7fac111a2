"""Decides what an exchange changes in memory; whoever stores it does what is decided here."""

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
    """What is to be done with one fact."""

    deed: Deed
    fact: Fact
    entry: int | None = None
    """The entry that is known already, or whose place is taken."""


def decide(said: Said, fact: Fact, known: Sequence[Known]) -> Step:
    """Decide on a fact of what a person said; facts do not see each other, so `known` is kept up in between.

    The assistant's words and what was recalled prove nothing: else it would learn from itself.
    """
    founded = ground(said, fact, takes_messages=True)
    if isinstance(founded, Doubt):
        return Step(Deed.UNFOUNDED, fact)
    verdict = compare(founded.text, founded.about, known)
    return Step(verdict.deed, founded, verdict.known)
