"""Stores which session files are settled, with their stamps, so that recovery need not read them.

Losing this costs only speed, so a fault here is only logged.
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
"""For each session file, by name: its length, and its last change (nanoseconds, by the system's clock)."""


class SettledMarks:
    """The marks in the database, and when the present run had recovered."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        """Store them in this database."""
        self._database = database
        self._clock = clock

    async def settled(self) -> Settled:
        """Return the files that were settled; none if that cannot be read."""
        return await self._run(_read, {})

    async def keep(self, settled: Settled, gone: Collection[str]) -> None:
        """Store what a finished recovery found settled, remove files that are gone, and note the time."""
        await self._run(lambda connection: _keep(connection, settled, gone, self._clock()), None)

    async def forget(self, files: Collection[str]) -> None:
        """Remove the marks of these files. Raises nothing, like all methods here."""
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
