"""This module is the memory store in SQLite: it has all parts of a store, over one connection on its own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path

from memory.meaning import RECALL_SECONDS, SEARCH_SECONDS, Meaning
from memory.model import Erased, Exchange, LearnOutcome, Lesson, Memory, Recalled, Reserve, Who
from memory.ports import Embedder
from memory.recall import Candidate, choose, fuse, rank
from memory.store_sqlite import looking, removing, writing
from memory.store_sqlite.database import Database
from memory.store_sqlite.meaning import likeness, renew
from memory.store_sqlite.schema import connect
from memory.store_sqlite.visible import candidates, memories, people, rows_of, scopes_of

__all__ = ["SqliteMemory", "open_sqlite_memory"]

_NO_ID = 2**63 - 1
"""A number above all ids."""


class SqliteMemory:
    """A memory store in an open database; made by `open_sqlite_memory`."""

    def __init__(self, database: Database, clock: Callable[[], datetime], meaning: Meaning | None = None) -> None:
        """Work on that database; with `meaning`, recall uses embeddings besides words."""
        self._database = database
        self._clock = clock
        self._meaning = meaning

    async def learn(self, lesson: Lesson) -> LearnOutcome:
        """Write entries and mark the range as done, in one transaction."""
        now = self._clock()
        return await self._database.run(lambda connection: writing.learn(connection, lesson, now))

    async def knows(self, exchange: Exchange) -> bool:
        """Tell whether the range, or a part of it, was learnt before."""
        return await self._database.run(lambda connection: writing.knows(connection, exchange))

    async def watermark(self, session: str, began: str) -> int | None:
        """Return the last seq of the session that was learnt from."""
        return await self._database.run(lambda connection: writing.watermark(connection, session, began))

    async def recall(self, who: Who, question: str, reserve: Reserve) -> tuple[Recalled, ...]:
        """Return what answers the question, best first."""
        asked, now = await self._vector_of(question, RECALL_SECONDS), self._clock()
        return await self._database.run(
            lambda connection: choose(self._ranked(connection, who, question, asked, now), reserve)
        )

    async def search(self, who: Who, question: str, most: int) -> tuple[int, ...]:
        """Return the ids of what answers the question, best first."""
        asked, now = await self._vector_of(question, SEARCH_SECONDS), self._clock()
        return await self._database.run(
            lambda connection: tuple(
                found.id for found in islice(self._ranked(connection, who, question, asked, now), most)
            )
        )

    async def listed(self, who: Who, before: int | None, most: int) -> tuple[Memory, ...]:
        """Return a page, newest first."""
        values = {"before": _NO_ID if before is None else before, "most": most}
        condition = "entry.id < :before ORDER BY entry.id DESC LIMIT :most"
        return await self._database.run(lambda connection: memories(connection, rows_of(who), condition, values))

    async def why(self, who: Who, entry: int) -> Memory | None:
        """Return an entry with its evidence, if this person may see it here."""
        found = await self._database.run(
            lambda connection: memories(connection, rows_of(who), "entry.id = :entry", {"entry": entry})
        )
        return found[0] if found else None

    async def people(self) -> tuple[str, ...]:
        """Return the sorted ids of everybody who has entries."""
        return await self._database.run(people)

    async def forget(self, who: Who, entry: int) -> bool:
        """Remove an entry, if this person may see it here."""
        path = self._database.path
        return await self._database.run(lambda connection: removing.forget(connection, path, rows_of(who), entry))

    async def export(self, senders: frozenset[str]) -> tuple[Memory, ...]:
        """Return all that is known about a person, oldest first."""
        rows = rows_of(Who(senders, direct=True))
        return await self._database.run(lambda connection: memories(connection, rows, "1 ORDER BY entry.id", {}))

    async def erase(self, senders: frozenset[str]) -> Erased:
        """Remove all that is known about a person, from free pages too, and search for what remains."""
        path = self._database.path
        erased = await self._database.run(lambda connection: removing.erase(connection, path, senders))
        if self._meaning is not None:
            self._meaning.forget()
        return erased

    async def without_vector(self, model: str, most: int) -> tuple[tuple[int, str], ...]:
        """Return entries that have no vector of that model yet, oldest first.

        If there is none, the vectors cached for those who asked last are renewed now, so that no reply waits for it.
        """
        missing = await self._database.run(lambda connection: looking.without_vector(connection, model, most))
        if not missing and self._meaning is not None:
            meaning = self._meaning
            await self._database.run(lambda connection: renew(connection, meaning))
        return missing

    async def keep_vectors(self, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Keep vectors of entries that are still there."""
        await self._database.run(lambda connection: writing.keep_vectors(connection, model, vectors))
        if self._meaning is not None:
            self._meaning.additions += 1

    async def _vector_of(self, question: str, wait_seconds: float) -> bytes | None:
        return await self._meaning.vector_of(question, wait_seconds) if self._meaning else None

    def _ranked(
        self, connection: sqlite3.Connection, who: Who, question: str, asked: bytes | None, now: datetime
    ) -> Iterator[Candidate]:
        """Run both stages of recall, on the database's thread, so that the event loop is not blocked."""
        rows = rows_of(who)
        scopes = scopes_of(connection, rows)
        scores = looking.find_words(connection, scopes, question)
        near = None
        if self._meaning is not None and asked is not None:
            near = likeness(connection, self._meaning, scopes, asked, scores)
        return rank(question, candidates(connection, rows, fuse(scores, near)), now)


@asynccontextmanager
async def open_sqlite_memory(
    path: Path | None, clock: Callable[[], datetime], embedder: Embedder | None = None
) -> AsyncIterator[SqliteMemory]:
    """Open the database, created (0600) if missing; without a path, one that ends with the process.

    Raises MemoryTooNew and MemoryUnusable.
    """
    with ThreadPoolExecutor(1, "memory") as thread:
        connection = await asyncio.get_running_loop().run_in_executor(thread, connect, path)
        try:
            yield SqliteMemory(Database(connection, thread, path), clock, Meaning(embedder) if embedder else None)
        finally:
            thread.submit(connection.close)
