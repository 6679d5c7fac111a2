"""What later runs may leave unread: for each session file its stamp when nothing in it was left to do.

That can be done without: a fault here is logged and costs only speed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TypeVar

import structlog

from agentd.state.database import Database, Work, format_moment, transaction

__all__ = ["SettledMarks"]

log = structlog.get_logger()

T = TypeVar("T")

Settled = Mapping[str, tuple[int, int]]
"""For each session file's name its length, and when it was last changed (nanoseconds, by the system's clock)."""


class SettledMarks:
    """The marks in the database, and when the run that keeps them had recovered."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Keep them there."""
        self._database = database
        self._clock = clock

    async def settled(self) -> Settled:
        """Return the session files that had nothing left to do; none where that cannot be read."""
        return await self._run(_read, {})

    async def keep(self, settled: Settled, gone: Collection[str]) -> None:
        """Keep what a recovery that is done found settled, forget files that are gone, and note the time."""
        await self._run(lambda connection: _keep(connection, settled, gone, self._clock()), None)

    async def forget(self, files: Collection[str]) -> None:
        """Forget these files, by their names. Raises nothing, as everything here."""
        names = [(os.fsencode(file),) for file in files]
        await self._run(lambda connection: connection.executemany("DELETE FROM settled WHERE file = ?", names), None)

    async def _run(self, work: Work[T], otherwise: T) -> T:
        try:
            return await self._database.run(work)
        except sqlite3.Error as fault:
            log.error("state_not_usable", fault=str(fault))
            return otherwise


def _read(connection: sqlite3.Connection) -> Settled:
    rows = connection.execute("SELECT file, size, ctime_ns FROM settled")
    return {os.fsdecode(file): (size, ctime_ns) for file, size, ctime_ns in rows}


def _keep(connection: sqlite3.Connection, settled: Settled, gone: Collection[str], now: datetime) -> None:
    added = [(os.fsencode(file), size, ctime_ns) for file, (size, ctime_ns) in settled.items()]
    with transaction(connection):
        connection.executemany("DELETE FROM settled WHERE file = ?", [(os.fsencode(file),) for file in gone])
        connection.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", added)
        connection.execute(
            "UPDATE run SET recovered = ? WHERE number = (SELECT max(number) FROM run)", [format_moment(now)]
        )
