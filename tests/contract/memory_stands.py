"""The memories that one suite is asked of, and how a conversation looks that they learn from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from memory.model import Daily, Evidence, Exchange, Fact, Learned, Who, Words
from memory.ports import MemoryLooking, MemoryRights, MemoryVectors, MemoryWriting
from memory.store_memory import InMemoryMemory
from memory.store_sqlite.store import open_sqlite_memory

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANNA, BOB = "telegram:1", "telegram:2"


class Store(MemoryWriting, MemoryLooking, MemoryRights, MemoryVectors, Protocol):
    """All ports at once."""


@asynccontextmanager
async def in_sqlite(folder: Path) -> AsyncIterator[Store]:
    async with open_sqlite_memory(folder / "memory.db", lambda: NOW) as memory:
        yield memory


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Store]:
    yield InMemoryMemory(lambda: NOW)


STANDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Store]]] = {"sqlite": in_sqlite, "memory": in_memory}


def who(*senders: str, direct: bool = True) -> Who:
    return Who(frozenset(senders), direct)


def said(
    seq: int, text: str, person: str = ANNA, *, direct: bool = True, session: str | None = None, days: int = 0
) -> Exchange:
    """One message of a person's, in a session of their own unless one is named."""
    at = NOW - timedelta(days=days)
    key = session or f"{person}{'' if direct else '/group'}"
    return Exchange(key, seq, seq, person, "Anna" if person == ANNA else "Bob", direct, (Words(seq, at, text),))


def daily(exchange: Exchange, text: str | None = None) -> Learned:
    words = exchange.said[0]
    return Learned(exchange, Daily(text or words.text, words.at))


def facts(exchange: Exchange, *texts: str, about: str = "") -> Learned:
    """Facts that stand on all that was said."""
    evidence = tuple(Evidence(exchange.session, words.seq, words.text) for words in exchange.said)
    return Learned(exchange, None, tuple(Fact(text, evidence, about) for text in texts))


async def learn_facts(store: MemoryWriting, texts: Sequence[str], person: str = ANNA, *, direct: bool = True) -> None:
    """Each said on its own, one after the other."""
    for seq, text in enumerate(texts):
        await store.learn(facts(said(seq, text, person, direct=direct), text))
