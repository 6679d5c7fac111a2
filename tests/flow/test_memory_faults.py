"""These tests check memory on a full disk or a locked database: nobody waits for it, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.tasks import places
from agentd.tasks.sqlite_connector import SqliteConnector
from agentd.tasks.timing import QueueTiming
from memory.model import Kind
from tests.flow.bot import BOB, Bot
from tests.flow.test_memory import CAT, bot, clerk, config, known, learnt
from tests.platforms.clerk_server import ClerkServer

__all__ = ["bot", "clerk"]

LONG = f"My dog is called Rex. {'Он лает на каждый велосипед. ' * 60}"
"""As a task has it, it takes more than a page of a small database: another one has to be made."""

LOCKED_SECONDS = 3.0
BEFORE_THAT_SECONDS = 1.5
"""A reply that waited for the lock, or for SQLite to give up (2 s), would come later."""

QUICK = QueueTiming(sweep_seconds=0.1, poll_seconds=0.05, pause_seconds=lambda failures: 0.05)


class Filling(SqliteConnector):
    """The queue's file, on a disk that can be full: SQLite itself says so."""

    async def open_async(self, pool: object = None) -> None:
        """Open the file; there is no room from the beginning."""
        await super().open_async(pool)
        await self.let_grow(grows=False)

    async def let_grow(self, *, grows: bool) -> None:
        """Let the file have more pages, or none beyond those that it has."""

        def limit(connection: sqlite3.Connection) -> None:
            connection.execute("VACUUM")  # free pages are room, too
            connection.execute(f"PRAGMA max_page_count = {2**30 if grows else 1}").fetchall()

        await self._on_thread(limit)


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> list[Filling]:
    """Return those that are opened from here on."""
    opened: list[Filling] = []

    def open_one(path: Path, now: Callable[[], datetime]) -> Filling:
        opened.append(Filling(path, now))
        return opened[-1]

    monkeypatch.setattr(places, "SqliteConnector", open_one)
    return opened


async def test_where_the_queues_disk_is_full_people_are_answered_and_what_they_said_is_learnt_when_it_is_not(
    bot: Bot, clerk: ClerkServer, filling: list[Filling]
) -> None:
    async with bot.run(config(clerk)):
        bot.telegram.post(CAT)
        await bot.settled()
        await learnt(bot, 2)
        [disk] = filling
        with capture_logs() as logs:
            bot.telegram.post(LONG)
            await bot.settled(2)
            await bot.until(lambda: was_postponed(logs))
        while_full = await known(bot)
        await disk.let_grow(grows=True)
        entries = await learnt(bot, 4)

    [postponed, *_] = [said for said in logs if said["event"] == "learning_postponed"]
    assert "database or disk is full" in postponed["fault"]
    assert len(while_full) == 2
    assert [entry.text for entry in entries if entry.kind is Kind.CORE] == [
        "Has a cat called Tom",
        "Has a dog called Rex",
    ]


async def test_what_a_full_disk_kept_from_the_queue_is_found_by_the_next_run_and_queued_when_there_is_room(
    bot: Bot, clerk: ClerkServer, filling: list[Filling]
) -> None:
    async with bot.run(config(clerk)):
        bot.telegram.post(LONG)
        await bot.settled()
        with capture_logs() as before:
            bot.telegram.post(LONG.replace("Rex", "Bob"))
            await bot.settled(2)
            await bot.until(lambda: was_postponed(before))
    with capture_logs() as logs:
        async with bot.run(config(clerk)):
            await bot.until(lambda: was_postponed(logs))
            asked = list(clerk.asked_of)
            await filling[-1].let_grow(grows=True)
            entries = await learnt(bot, 4)

    assert asked == []
    assert [entry.first for entry in entries if entry.kind is Kind.DAILY] == [
        record["seq"] for record in bot.records("user")
    ]


def was_postponed(logs: Sequence[Mapping[str, object]]) -> bool:
    """Tell whether something could not be queued."""
    return any(said["event"] == "learning_postponed" for said in logs)


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[None]:
    """Be somebody else who writes to a database all the time of this block."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


async def test_a_memory_that_somebody_else_holds_keeps_no_reply_and_is_learnt_from_later(
    bot: Bot, clerk: ClerkServer
) -> None:
    loop, bot.timing = asyncio.get_running_loop(), QUICK
    async with bot.run(config(clerk)):
        bot.telegram.post(CAT)
        await bot.settled()
        await learnt(bot, 2)
        async with held(bot.workspace / "memory.db"):
            began = loop.time()
            bot.telegram.post("My dog is called Rex, and he barks.")
            await bot.settled(2)
            await bot.until(lambda: len(clerk.asked_of) == 2)  # which is to be written down from here on
            asked = loop.time()
            bot.telegram.post("Does anybody know what my dog is called, again?", sender=BOB, chat=BOB)
            await bot.settled(3)
            answered = loop.time()
            await asyncio.sleep(LOCKED_SECONDS - (answered - began))
            while_held = len(await known(bot))
        entries = await learnt(bot, 4)

    assert answered - asked < BEFORE_THAT_SECONDS
    assert while_held == 2
    assert [entry.text for entry in entries if entry.kind is Kind.CORE] == [
        "Has a cat called Tom",
        "Has a dog called Rex",
    ]
