"""This module opens each memory store for the suite that runs over all of them, and builds exchanges to learn from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from memory.model import Daily, Evidence, Exchange, Fact, Lesson, Who, Words
from memory.opening import open_memory
from memory.ports import MemoryStore, MemoryWriting
from memory.store_memory import InMemoryMemory
from tests.contract.prepared import prepared_database
from tests.contract.task_stands import postgres
from tests.platforms.postgres_server import PostgresServer

__all__ = [
    "ANNA",
    "BOB",
    "NOW",
    "Opening",
    "daily",
    "facts",
    "in_memory",
    "in_postgres",
    "in_sqlite",
    "learn_facts",
    "opening",
    "postgres",
    "said",
    "store",
    "who",
]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA, BOB = "telegram:1", "telegram:2"


Opening = Callable[[Path], AbstractAsyncContextManager[MemoryStore]]
"""Opens a memory that is empty, or what was kept in the folder before."""


@asynccontextmanager
async def in_sqlite(folder: Path) -> AsyncIterator[MemoryStore]:
    async with open_memory(folder / "memory.db", lambda: NOW) as memory:
        yield memory


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[MemoryStore]:
    yield InMemoryMemory(lambda: NOW)


def in_postgres(server: PostgresServer) -> Opening:
    """One database of the server's for each folder."""
    urls: dict[Path, SecretStr] = {}

    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[MemoryStore]:
        if folder not in urls:
            urls[folder] = await prepared_database(server)
        async with open_memory(urls[folder], lambda: NOW) as memory:
            yield memory

    return opened


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def opening(request: pytest.FixtureRequest) -> Opening:
    """Return how to open each memory in turn."""
    if request.param == "postgres":
        return in_postgres(request.getfixturevalue("postgres"))
    return in_sqlite if request.param == "sqlite" else in_memory


@pytest.fixture
async def store(opening: Opening, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    """Return each memory in turn, empty."""
    async with opening(tmp_path) as opened:
        yield opened


def who(*senders: str, direct: bool = True) -> Who:
    return Who(frozenset(senders), direct)


def said(
    seq: int, text: str, person: str = ANNA, *, direct: bool = True, session: str | None = None, days: int = 0
) -> Exchange:
    """One message of a person's, in a session of their own unless one is named."""
    at = NOW - timedelta(days=days)
    key = session or f"{person}{'' if direct else '/group'}"
    return Exchange(key, seq, seq, person, "Anna" if person == ANNA else "Bob", direct, (Words(seq, at, text),))


def daily(exchange: Exchange, text: str | None = None) -> Lesson:
    words = exchange.said[0]
    return Lesson(exchange, Daily(text or words.text, words.at))


def facts(exchange: Exchange, *texts: str, about: str = "") -> Lesson:
    """Facts that stand on all that was said."""
    evidence = tuple(Evidence(exchange.session, words.seq, words.text) for words in exchange.said)
    return Lesson(exchange, None, tuple(Fact(text, evidence, about) for text in texts))


async def learn_facts(store: MemoryWriting, texts: Sequence[str], person: str = ANNA, *, direct: bool = True) -> None:
    """Each said on its own, one after the other."""
    for seq, text in enumerate(texts):
        await store.learn(facts(said(seq, text, person, direct=direct), text))
