"""This module is the entry point for benchmarks of retrieval such as LoCoMo: it indexes turns, and searches them.

It uses the daemon's own store and ranking: every turn becomes a memory entry, every question a search.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import Protocol

from memory.model import Daily, Exchange, Lesson, Who
from memory.ports import Embedder
from memory.store_sqlite.store import SqliteMemory, open_sqlite_memory

__all__ = ["LocomoRetriever", "Turn"]

_PERSON = "benchmark:one"
_SESSION = "benchmark"
_DATE_FORMAT = "%I:%M %p on %d %B, %Y"
_BATCH = 256


class Turn(Protocol):
    """One turn of a conversation."""

    @property
    def id(self) -> str: ...

    @property
    def speaker(self) -> str: ...

    @property
    def date(self) -> str:
        """For example "1:56 pm on 8 May, 2023"."""
        ...

    @property
    def text(self) -> str: ...


class LocomoRetriever:
    """Indexes the turns of one conversation in an SQLite memory, and searches it as the one person who may see it."""

    def __init__(self, embeddings: bool = False) -> None:
        """Prepare; with `embeddings`, `index` loads MiniLM, and raises EmbeddingsMissing if the extra is missing."""
        self.name = "agentd, words and MiniLM" if embeddings else "agentd, words"
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._models = AsyncExitStack()
        self._embeddings = embeddings
        self._embedder: Embedder | None = None
        self._memory: SqliteMemory | None = None
        self._ids: dict[int, str] = {}
        self._now = datetime.min.replace(tzinfo=UTC)

    def index(self, turns: Sequence[Turn]) -> None:
        """Index these turns, in the place of those before."""
        self._runner.run(self._index(turns))

    def search(self, query: str, k: int) -> list[str]:
        """Return the ids of the `k` best turns for a question, best first."""
        return self._runner.run(self._search(query, k))

    def close(self) -> None:
        """Close the memory and the model."""
        self._runner.run(self._stack.aclose())
        self._runner.run(self._models.aclose())
        self._runner.close()

    async def _index(self, turns: Sequence[Turn]) -> None:
        await self._stack.aclose()
        if self._embeddings and self._embedder is None:
            self._embedder = await self._models.enter_async_context(_load_embedder())
        self._memory = await self._stack.enter_async_context(open_sqlite_memory(None, self._clock, self._embedder))
        for place, turn in enumerate(turns):
            self._now = max(self._now, _parse_date(turn.date))
            await self._memory.learn(_build_lesson(place, turn))
        entries = [entry.id for entry in await self._memory.export(frozenset({_PERSON}))]
        self._ids = dict(zip(entries, (turn.id for turn in turns), strict=True))
        if self._embedder is not None:
            await _embed_all(self._memory, self._embedder)

    async def _search(self, query: str, k: int) -> list[str]:
        if self._memory is None:
            return []
        found = await self._memory.search(Who(frozenset({_PERSON}), direct=True), query, k)
        return [self._ids[entry] for entry in found]

    def _clock(self) -> datetime:
        return self._now


def _build_lesson(place: int, turn: Turn) -> Lesson:
    exchange = Exchange(_SESSION, place, place, _PERSON, turn.speaker, direct=True, said=())
    return Lesson(exchange, Daily(turn.text, _parse_date(turn.date)))


def _parse_date(text: str) -> datetime:
    return datetime.strptime(text, _DATE_FORMAT).replace(tzinfo=UTC)


def _load_embedder() -> AbstractAsyncContextManager[Embedder]:
    from memory.embeddings.threaded import load_minilm

    return load_minilm()


async def _embed_all(memory: SqliteMemory, embedder: Embedder) -> None:
    """Make the vectors that are missing, as a background task does in the daemon."""
    while missing := await memory.without_vector(embedder.name, _BATCH):
        vectors = await embedder.embed([text for _, text in missing])
        await memory.keep_vectors(
            embedder.name, [(entry, vector) for (entry, _), vector in zip(missing, vectors, strict=True)]
        )
