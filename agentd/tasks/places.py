"""Where tasks are kept: an SQLite file of this daemon alone, or a PostgreSQL that several workers share."""

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
"""Every commit in the process is told of; what is looked for is only a retry that is due."""
POLL_SERVER_SECONDS = 2
"""Here the next task of a session is found by looking, too."""


async def _nothing() -> None:
    """Leave the server's files to the server, which overwrites what was deleted when it vacuums."""


@dataclass(frozen=True, slots=True)
class Place:
    """An open place, and how it is to be used."""

    connector: BaseAsyncConnector
    is_shared: bool
    """Whether other processes take tasks from it too."""
    poll_seconds: float
    """How often is looked for what nobody told of."""
    scrub: Callable[[], Awaitable[None]] = _nothing
    """Takes what was deleted out of the files, as far as that is ours to do."""


@asynccontextmanager
async def open_place(location: Location, now: Callable[[], datetime]) -> AsyncIterator[Place]:
    """Open the place, made or brought to this version's form. Raises ConfigError, and StorageError."""
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
