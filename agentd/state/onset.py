"""Since when memory is on: what was said before that, or while it was off, is not learnt when it is switched on."""

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
        """Keep it there."""
        self._database = database
        self._clock = clock

    async def note(self, *, is_on: bool) -> str:
        """Note that a run begins with memory on, or off; return since when it is on, as records write it.

        A clock that was ahead once moves the moment back to now. Where it cannot be kept it is now. Raises nothing.
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
