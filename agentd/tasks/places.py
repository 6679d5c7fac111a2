"""Opens the database that stores tasks: an SQLite file of this daemon alone, or a PostgreSQL shared by several
workers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from procrastinate.connector import BaseAsyncConnector
from pydantic import SecretStr

from agentd.tasks.faults import unusable
from agentd.tasks.postgres import open_postgres
from agentd.tasks.sqlite_connector import SqliteConnector

__all__ = ["Location", "Place", "open_place"]

Location: TypeAlias = Path | SecretStr
"""The file, or the database's URL."""

POLL_FILE_SECONDS = 5
"""Commits in this process are announced; polling finds only retries that are due."""
POLL_SERVER_SECONDS = 2
"""On a server, a session's next task is found by polling too."""


async def _nothing() -> None:
    """Do nothing: the server overwrites deleted rows itself when it vacuums."""


@dataclass(frozen=True, slots=True)
class Place:
    """An open database, and how to use it."""

    connector: BaseAsyncConnector
    is_shared: bool
    """Whether other processes take tasks from it too."""
    poll_seconds: float
    """How often to poll for what was not announced."""
    scrub: Callable[[], Awaitable[None]] = _nothing
    """Removes deleted data from the database's files, as far as that is up to us."""


@asynccontextmanager
async def open_place(location: Location, now: Callable[[], datetime]) -> AsyncIterator[Place]:
    """Open the database, creating or migrating it. Raises ConfigError and StorageError."""
    if isinstance(location, SecretStr):
        async with open_postgres(location) as shared:
            yield Place(shared, True, POLL_SERVER_SECONDS)
        return
    connector = SqliteConnector(location, now)
    try:
        await connector.open_async()
    except (OSError, sqlite3.Error) as fault:
        raise unusable(fault) from fault
    try:
        yield Place(connector, False, POLL_FILE_SECONDS, connector.scrub)
    finally:
        await connector.close_async()
