"""Stores how many tokens each person spent on each day (UTC), for 31 days."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from agentd.state.database import Database, storable, transaction

__all__ = ["KEPT_DAYS", "Usage", "read_usage"]

KEPT_DAYS = 31

Tokens = Mapping[tuple[str, str], int]
"""Tokens by day (YYYY-MM-DD) and person (CHANNEL:SENDER)."""


class Usage:
    """The spent tokens, in the database."""

    def __init__(self, database: Database, recent: Tokens) -> None:
        """Begin with what was read from the database."""
        self._database = database
        self.recent = recent

    async def keep(self, tokens: Tokens) -> None:
        """Store these totals over the earlier ones, and delete old days. Raises StorageError."""
        await self._database.run_durably(lambda connection: _keep(connection, tokens))

    async def spent_by(self, senders: frozenset[str]) -> list[tuple[str, str, int]]:
        """Return day, sender and tokens of these people, for all stored days. Raises StorageError."""
        rows = await self._database.run_durably(
            lambda connection: connection.execute("SELECT day, person, tokens FROM usage ORDER BY day").fetchall()
        )
        return [(day, person, tokens) for day, person, tokens in rows if person in senders]

    async def forget(self, senders: frozenset[str]) -> int:
        """Remove what these people spent; return the number of days. Raises StorageError."""
        return await self._database.run_durably(
            lambda connection: sum(
                connection.execute("DELETE FROM usage WHERE person = ?", [storable(sender)]).rowcount
                for sender in senders
            )
        )


def read_usage(connection: sqlite3.Connection, now: datetime) -> Tokens:
    """Read what was spent since yesterday, as the clock may be set back a little. Raises sqlite3.Error."""
    yesterday = (now - timedelta(days=1)).date().isoformat()
    rows = connection.execute("SELECT day, person, tokens FROM usage WHERE day >= ?", [yesterday])
    return {(day, person): tokens for day, person, tokens in rows}


def _keep(connection: sqlite3.Connection, tokens: Tokens) -> None:
    oldest = date.fromisoformat(min(day for day, _ in tokens)) - timedelta(days=KEPT_DAYS)
    with transaction(connection):
        connection.executemany(
            "INSERT OR REPLACE INTO usage VALUES (?, ?, ?)",
            [(day, storable(person), spent) for (day, person), spent in tokens.items()],
        )
        connection.execute("DELETE FROM usage WHERE day < ?", [oldest.isoformat()])
