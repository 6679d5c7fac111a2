"""Killed at every step of a consolidation and started again: each range is learnt once, and none is lost.

The rows that run with every test are few of many: `python -m tests.crash.memory_matrix` runs all.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.contract.task_stands import postgres
from tests.crash.memory_looks import Location
from tests.crash.memory_matrix import FINISHING, ROWS, STORES, run_rows
from tests.crash.memory_world import MemoryWorld, open_memory_world
from tests.crash.nursery import open_nursery
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]

DOWN_SECONDS = 3.0
"""How long the server is away; 10 s were tried by hand (docs/durability.md)."""

LIMIT_SECONDS = 60

BRIEF = [row for row in ROWS if row.is_brief]

FEWEST_ROWS = 20
"""Each kind of point is among those that always run."""


@pytest.mark.parametrize("back_end", STORES)
async def test_wherever_it_is_killed_each_range_is_learnt_once_and_nothing_waits_for_ever(
    back_end: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    def new_place() -> Location:
        if back_end == "files":
            return None
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()

    results = await run_rows(BRIEF, back_end, new_place, tmp_path)

    assert {result.row.label: result.faults for result in results if result.faults} == {}
    assert len(results) == len(BRIEF) >= FEWEST_ROWS


@asynccontextmanager
async def running(folder: Path, location: Location, more: str = "") -> AsyncIterator[MemoryWorld]:
    """Run a daemon that nobody kills."""
    async with (
        open_nursery() as nursery,
        open_memory_world(folder, nursery, location, more=more) as world,
        asyncio.timeout(LIMIT_SECONDS),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        yield world
        assert set(await world.stop()) == {0}


async def test_a_database_that_is_away_while_it_is_learnt_from_costs_nothing_but_time(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with running(tmp_path, postgres.new_database()) as world:
        gate = world.clerk.gate = asyncio.Event()
        await world.converse()
        await world.clerk.half_said.wait()
        async with away(postgres):
            gate.set()
            await asyncio.sleep(DOWN_SECONDS)
        await world.at_rest()
    outcome = await world.outcome()

    assert list(outcome.faults()) == []


async def test_while_the_database_is_away_people_are_answered_and_what_they_say_is_learnt_later(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    async with running(tmp_path, postgres.new_database()) as world:
        await world.converse(1)
        await world.until(lambda: len(world.look().learnt) == 1)
        async with away(postgres):
            began = loop.time()
            await world.converse()
            answered_seconds = loop.time() - began
            await asyncio.sleep(max(DOWN_SECONDS - answered_seconds, 0))
        await world.at_rest()
    outcome = await world.outcome()

    assert list(outcome.faults()) == []
    assert answered_seconds < DOWN_SECONDS


@asynccontextmanager
async def away(server: PostgresServer) -> AsyncIterator[None]:
    """Have no database for this block."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize("point", ["memory.store_postgres.writing:Learnt:before:1", f"{FINISHING}:before:1", ""])
async def test_what_a_killed_worker_was_at_is_done_once_by_another_process(
    postgres: PostgresServer, tmp_path: Path, point: str
) -> None:
    async with running(tmp_path, postgres.new_database(), "[tasks]\nconcurrency = 1\n") as world:
        gate = world.clerk.gate = asyncio.Event()
        await world.converse()
        await world.clerk.half_said.wait()  # the daemon has its hands full
        worker = world.start_worker(point or None)
        await world.until(lambda: len(world.clerk.asked_of) >= 2)
        if not point:
            worker.kill()  # as it hangs half-way
            await worker.ended()
        gate.set()
        ended = await worker.ended()
        await world.at_rest()
    outcome = await world.outcome()

    assert ended == -signal.SIGKILL
    assert list(outcome.faults()) == []
