"""This module opens the memory store: an SQLite file, a PostgreSQL database, or memory that ends with the process.

PostgreSQL's driver is imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from memory.ports import Embedder, MemoryStore
from memory.store_sqlite.store import open_sqlite_memory

__all__ = ["open_memory"]


@asynccontextmanager
async def open_memory(
    location: Path | SecretStr | None, clock: Callable[[], datetime], embedder: Embedder | None = None
) -> AsyncIterator[MemoryStore]:
    """Open the file, the database at the URL, or for None a memory that ends with the process.

    Raises MemoryTooNew and MemoryUnusable.
    """
    if isinstance(location, SecretStr):
        from memory.store_postgres.store import open_postgres_memory

        async with open_postgres_memory(location, clock, embedder) as shared:
            yield shared
    else:
        async with open_sqlite_memory(location, clock, embedder) as own:
            yield own
