"""Records since when memory is on: messages from before, or from while it was off, are not learnt when it is switched
on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

import structlog

from agentd.state.database import Database, format_moment, transaction

__all__ = ["Onset"]

log = structlog.get_logger()


class Onset:
    """The moment in the database."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Store it in this database."""
        self._database = database
        self._clock = clock

    async def note(self, *, is_on: bool) -> str:
        """Record that a run begins with memory on or off; return since when it is on, as a record's time stamp.

        If the stored moment is in the future (the clock was ahead), it becomes now. If it cannot be stored, return now.
        Raises nothing.
        """
        now = format_moment(self._clock())
        try:
            return await self._database.run(lambda connection: _note(connection, is_on, now))
        except sqlite3.Error as fault:
            log.error("state_not_usable", fault=str(fault))
            return now


def _note(connection: sqlite3.Connection, is_on: bool, now: str) -> str:
    with transaction(connection):
        [known] = connection.execute("SELECT min(since) FROM remembering").fetchone()
        since = min(known or now, now) if is_on else None
        if since == known:
            return since or now
        connection.execute("DELETE FROM remembering")
        if since is not None:
            connection.execute("INSERT INTO remembering VALUES (?)", [since])
    return since or now
