"""How times and texts are written down, whatever the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from memory.model import Evidence, Exchange, Fact

__all__ = ["moment", "stamp", "storable", "storable_exchange", "storable_fact"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def stamp(time: datetime) -> int:
    """Return a time as a database has it: milliseconds since 1970."""
    return (time - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """Return the time that a database has."""
    return _EPOCH + milliseconds * _MILLISECOND


def storable(text: str) -> str:
    """Return a text as a database takes it: one from outside may hold halves of characters, and NUL.

    PostgreSQL has no NUL, and SQLite's `json_each` ends a text there, and takes one person's id for another's.
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def storable_exchange(exchange: Exchange) -> Exchange:
    """Return an exchange of which all that is kept or compared is storable."""
    return replace(
        exchange,
        session=storable(exchange.session),
        person=storable(exchange.person),
        name=storable(exchange.name),
        said=tuple(replace(words, text=storable(words.text)) for words in exchange.said),
    )


def storable_fact(fact: Fact) -> Fact:
    """Return a fact with its evidence, storable."""
    evidence = tuple(Evidence(storable(given.session), given.seq, storable(given.quote)) for given in fact.evidence)
    return replace(fact, text=storable(fact.text), about=storable(fact.about), evidence=evidence)
