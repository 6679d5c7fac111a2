"""This module reads memory and its queue on disk from outside, while the daemon runs or after it was killed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psycopg
from pydantic import SecretStr

__all__ = ["Location", "Look", "Lookout", "look_at"]

Location: TypeAlias = SecretStr | None
"""Of both: behind this URL, or without one in the workspace."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    learnt: tuple[tuple[str, int, int], ...] = ()
    """The ranges that are done: session, first and last message."""
    waiting: int = 0
    dead: int = 0


class Lookout:
    """Looks as often as it is asked to; to the server it keeps a connection, which costs more than a look."""

    def __init__(self, location: Location, workspace: Path) -> None:
        """Look behind a URL, or into a workspace."""
        self._location = location
        self._workspace = workspace
        self._connection: psycopg.Connection | None = None

    def look(self) -> Look:
        """Look; what is not there yet, or cannot be reached, is empty."""
        if self._location is None:
            return _look_at_files(self._workspace)
        try:
            return self._look_at_server(self._location)
        except psycopg.errors.UndefinedTable:
            return Look()
        except psycopg.OperationalError:
            self.close()
            return Look()

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _look_at_server(self, url: SecretStr) -> Look:
        if self._connection is None:
            self._connection = psycopg.connect(url.get_secret_value(), autocommit=True)
        learnt = self._connection.execute("SELECT session, first, last FROM agentd_memory_learnt").fetchall()
        states = self._connection.execute("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1").fetchall()
        return _look(learnt, states)


def look_at(location: Location, workspace: Path) -> Look:
    """Look once."""
    with closing(Lookout(location, workspace)) as lookout:
        return lookout.look()


def _look_at_files(workspace: Path) -> Look:
    learnt = _rows(workspace / "memory.db", "SELECT session, first, last FROM learnt")
    states = _rows(workspace / "tasks.db", "SELECT status, count(*) FROM job GROUP BY status")
    return _look(learnt, states)


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # it is being made
        return []


def _look(learnt: list[tuple[object, ...]], states: list[tuple[object, ...]]) -> Look:
    ranges = tuple((str(session), int(str(first)), int(str(last))) for session, first, last in learnt)
    counts = {str(state): int(str(count)) for state, count in states}
    return Look(ranges, counts.get("todo", 0) + counts.get("doing", 0), counts.get("failed", 0))
