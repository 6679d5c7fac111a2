"""How times and texts stand in the columns of the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["moment", "stamp", "storable"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def stamp(time: datetime) -> int:
    """Return a time as the database has it: milliseconds since 1970."""
    return (time - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """Return the time that the database has."""
    return _EPOCH + milliseconds * _MILLISECOND


def storable(text: str) -> str:
    """Return a text as SQLite takes it: one from outside may hold what is no character."""
    return text.encode("utf-8", "backslashreplace").decode()
