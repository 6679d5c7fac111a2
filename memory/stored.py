"""This module converts times and texts to the form in which every database stores them, and times back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from memory.model import Evidence, Exchange, Fact

__all__ = ["moment", "stamp", "storable", "storable_exchange", "storable_fact"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def stamp(time: datetime) -> int:
    """Return a time as it is stored: milliseconds since 1970."""
    return (time - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """Return the time of a stored number."""
    return _EPOCH + milliseconds * _MILLISECOND


def storable(text: str) -> str:
    """Return a text that every database stores: lone surrogates and NUL become escapes such as `\\x00`.

    PostgreSQL takes no NUL, and SQLite's `json_each` ends a text there, so that it would take one person's id for
    another's.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def storable_exchange(exchange: Exchange) -> Exchange:
    """Return an exchange with all texts storable that are kept or compared."""
    return replace(
        exchange,
        session=storable(exchange.session),
        person=storable(exchange.person),
        name=storable(exchange.name),
        said=tuple(replace(words, text=storable(words.text)) for words in exchange.said),
    )


def storable_fact(fact: Fact) -> Fact:
    """Return a fact with all of its texts and its evidence's storable."""
    evidence = tuple(Evidence(storable(given.session), given.seq, storable(given.quote)) for given in fact.evidence)
    return replace(fact, text=storable(fact.text), about=storable(fact.about), evidence=evidence)
