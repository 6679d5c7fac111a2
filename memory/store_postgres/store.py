"""This module is the memory store in PostgreSQL: it has all parts of a store, over a few connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import islice

from pydantic import SecretStr

from memory.meaning import RECALL_SECONDS, SEARCH_SECONDS, Meaning
from memory.model import Erased, Exchange, LearnOutcome, Lesson, Memory, Recalled, Reserve, Who
from memory.ports import Embedder
from memory.recall import Candidate, choose, fuse, rank
from memory.store_postgres import looking, removing, writing
from memory.store_postgres.meaning import likeness, renew
from memory.store_postgres.server import Server, open_server
from memory.store_postgres.visible import candidates, memories, people, scopes_of, values_of

__all__ = ["PostgresMemory", "open_postgres_memory"]

_NO_ID = 2**63 - 1
"""A number above all ids."""


class PostgresMemory:
    """A memory store in the server's tables; made by `open_postgres_memory`."""

    def __init__(self, server: Server, clock: Callable[[], datetime], meaning: Meaning | None = None) -> None:
        """Work with that server; with `meaning`, recall uses embeddings besides words."""
        self._server = server
        self._clock = clock
        self._meaning = meaning

    async def learn(self, lesson: Lesson) -> LearnOutcome:
        """Write entries and mark the range as done, in one transaction."""
        async with self._server.transaction() as connection:
            return await writing.learn(connection, lesson, self._clock())

    async def knows(self, exchange: Exchange) -> bool:
        """Tell whether the range, or a part of it, was learnt before."""
        async with self._server.connection() as connection:
            return await writing.knows(connection, exchange)

    async def watermark(self, session: str, began: str) -> int | None:
        """Return the last seq of the session that was learnt from."""
        async with self._server.connection() as connection:
            return await writing.watermark(connection, session, began)

    async def recall(self, who: Who, question: str, reserve: Reserve) -> tuple[Recalled, ...]:
        """Return what answers the question, best first."""
        return choose(await self._ranked(who, question, RECALL_SECONDS), reserve)

    async def search(self, who: Who, question: str, most: int) -> tuple[int, ...]:
        """Return the ids of what answers the question, best first."""
        return tuple(found.id for found in islice(await self._ranked(who, question, SEARCH_SECONDS), most))

    async def listed(self, who: Who, before: int | None, most: int) -> tuple[Memory, ...]:
        """Return a page, newest first."""
        values = {**values_of(who), "before": _NO_ID if before is None else before, "most": most}
        async with self._server.connection() as connection:
            condition = "entry.id < %(before)s ORDER BY entry.id DESC LIMIT %(most)s"
            return await memories(connection, condition, values)

    async def why(self, who: Who, entry: int) -> Memory | None:
        """Return an entry with its evidence, if this person may see it here."""
        async with self._server.connection() as connection:
            found = await memories(connection, "entry.id = %(entry)s", {**values_of(who), "entry": entry})
        return found[0] if found else None

    async def people(self) -> tuple[str, ...]:
        """Return the sorted ids of everybody who has entries."""
        async with self._server.connection() as connection:
            return await people(connection)

    async def forget(self, who: Who, entry: int) -> bool:
        """Remove an entry, if this person may see it here."""
        async with self._server.transaction() as connection:
            return await removing.forget(connection, values_of(who), entry)

    async def export(self, senders: frozenset[str]) -> tuple[Memory, ...]:
        """Return all that is known about a person, oldest first."""
        async with self._server.connection() as connection:
            return await memories(connection, "true ORDER BY entry.id", values_of(Who(senders, direct=True)))

    async def erase(self, senders: frozenset[str]) -> Erased:
        """Remove all that is known about a person, have the tables rewritten, and search for what remains."""
        erased = await removing.erase(self._server, senders)
        if self._meaning is not None:
            self._meaning.forget()
        return erased

    async def without_vector(self, model: str, most: int) -> tuple[tuple[int, str], ...]:
        """Return entries that have no vector of that model yet, oldest first.

        If there is none, the vectors cached for those who asked last are renewed now, so that no reply waits for it.
        """
        async with self._server.connection() as connection:
            missing = await looking.without_vector(connection, model, most)
            if not missing and self._meaning is not None:
                await renew(connection, self._meaning)
        return missing

    async def keep_vectors(self, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Keep vectors of entries that are still there."""
        async with self._server.connection() as connection:
            await writing.keep_vectors(connection, model, vectors)

    async def _ranked(self, who: Who, question: str, wait_seconds: float) -> Iterator[Candidate]:
        asked = await self._meaning.vector_of(question, wait_seconds) if self._meaning else None
        values = values_of(who)
        async with self._server.connection() as connection:
            scopes = await scopes_of(connection, values)
            scores = await looking.find_words(connection, scopes, question)
            near = None
            if self._meaning is not None and asked is not None:
                near = await likeness(connection, self._meaning, scopes, asked, scores)
            found = await candidates(connection, values, fuse(scores, near))
        return rank(question, found, self._clock())


@asynccontextmanager
async def open_postgres_memory(
    url: SecretStr, clock: Callable[[], datetime], embedder: Embedder | None = None
) -> AsyncIterator[PostgresMemory]:
    """Open the database at the URL, and create or migrate its tables.

    It waits for a server that is starting. Raises MemoryTooNew and MemoryUnusable.
    """
    async with open_server(url) as server:
        yield PostgresMemory(server, clock, Meaning(embedder) if embedder else None)
