"""Decides what an exchange changes in memory; whoever stores it does what is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from memory.comparing import Known, compare
from memory.model import Deed, Evidence, Exchange, Fact

__all__ = ["MOST_EVIDENCE", "MOST_FACT_CHARS", "MOST_QUOTE_CHARS", "Step", "plan"]

MOST_FACT_CHARS = 800
"""As much as one entry may be when it is recalled; a longer text is no fact."""

MOST_QUOTE_CHARS = 300
MOST_EVIDENCE = 20
"""So many places where a fact was said are kept; saying it daily makes it no truer."""


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
    """Return the fact with the evidence that holds: quotes that the person wrote in this exchange; None without one.

    The assistant's words and what was recalled prove nothing: else it would learn from itself.
    """
    text = " ".join(fact.text.split())[:MOST_FACT_CHARS].rstrip()
    held = tuple(found for found in map(lambda given: _checked(exchange, given), fact.evidence) if found is not None)
    return replace(fact, text=text, evidence=held) if text and held else None


def _checked(exchange: Exchange, given: Evidence) -> Evidence | None:
    quote = " ".join(given.quote.split())
    for words in exchange.said:
        if given.session == exchange.session and words.seq == given.seq and quote:
            said = " ".join(words.text.split())
            if quote.casefold() in said.casefold():
                return replace(given, quote=quote[:MOST_QUOTE_CHARS])
    return None
