"""This module runs all work on an open SQLite database on one thread, one call after another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from memory.errors import MemoryUnusable

__all__ = ["Database"]

T = TypeVar("T")


class Database:
    """An open database and its thread."""

    def __init__(self, connection: sqlite3.Connection, thread: Executor, path: Path | None) -> None:
        """Work with a connection that was made on that thread; `path` is None for a database in memory."""
        self._connection = connection
        self._thread = thread
        self.path = path

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the thread. Raises MemoryUnusable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)
        except (sqlite3.Error, OSError) as fault:
            raise MemoryUnusable(f"memory.db cannot be used ({fault}): check its owner, mode and disk") from fault
