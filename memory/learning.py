"""Decides what an exchange changes in memory; whoever stores it does what is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memory.comparing import Known, compare
from memory.guard import Doubt, ground, read_said
from memory.model import MOST_EVIDENCE, MOST_FACT_CHARS, Deed, Exchange, Fact
from memory.quotes import MOST_QUOTE_CHARS

__all__ = ["MOST_EVIDENCE", "MOST_FACT_CHARS", "MOST_QUOTE_CHARS", "Step", "plan"]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one fact."""

    deed: Deed
    fact: Fact
    entry: int | None = None
    """The entry that is known already, or whose place is taken."""


def plan(exchange: Exchange, facts: Sequence[Fact], known: Sequence[Known]) -> Iterator[Step]:
    """Decide on the facts one after the other; they do not see each other, so `known` has to be kept up in between."""
    for fact in facts:
        founded = _founded(exchange, fact)
        if founded is None:
            yield Step(Deed.UNFOUNDED, fact)
            continue
        verdict = compare(founded.text, founded.about, known)
        yield Step(verdict.deed, founded, verdict.known)


def _founded(exchange: Exchange, fact: Fact) -> Fact | None:
    """Return the fact with the evidence that holds; None where the person's own words do not carry it.

    The assistant's words and what was recalled prove nothing: else it would learn from itself.
    """
    grounded = ground(read_said(exchange), fact, takes_messages=True)
    return None if isinstance(grounded, Doubt) else grounded
