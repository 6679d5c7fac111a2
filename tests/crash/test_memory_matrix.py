"""These tests kill the daemon at every step of a consolidation: each range is learnt exactly once.

The rows that run with every test are few of many: `EVERY_STEP=1`, or `python -m tests.crash.memory_matrix`, runs all.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.contract.prepared import prepared_database
from tests.contract.task_stands import postgres
from tests.crash.memory_looks import Location
from tests.crash.memory_matrix import FEW, FINISHING, ROWS, STORES, Row, revive, run_rows
from tests.crash.memory_world import MemoryWorld, Run, open_memory_world
from tests.crash.nursery import open_nursery
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]

DOWN_SECONDS = 3.0
"""How long the server is away; 10 s were tried by hand (docs/durability.md)."""

LIMIT_SECONDS = 60

EVERY_STEP = "EVERY_STEP" in os.environ

STORED = ("STORE.", "WRITING:", "agentd.tasks.late:", "procrastinate.")
"""How points begin that are passed in a store or a queue, and so in another one on each back end."""

KINDS_STORED = 8
"""Of the queue and its engine three, of the store two, in its transaction three."""


def chosen(back_end: str) -> list[Row]:
    """Return the rows that run on a back end."""
    return [row for row in ROWS if EVERY_STEP or back_end in row.brief]


async def new_place(back_end: str, request: pytest.FixtureRequest) -> Location:
    if back_end == "files":
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return await prepared_database(server)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("back_end", STORES)
async def test_wherever_it_is_killed_each_range_is_learnt_once_and_nothing_waits_for_ever(
    back_end: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    results = await run_rows(chosen(back_end), back_end, partial(new_place, back_end, request), tmp_path)

    assert {result.row.label: result.faults for result in results if result.faults} == {}
    assert len(results) == len(chosen(back_end))


def points(rows: Sequence[Row]) -> Iterator[str]:
    """Yield where runs are killed: before or after which call or step, without its number, or when from outside."""
    for run in (run for row in rows for run in row.runs):
        yield re.sub(r":\d+$| \(\d+\)$", "", run.call or run.step or run.outside)


def test_among_the_rows_that_always_run_is_each_point_each_mood_and_what_is_stored_on_each_back_end() -> None:
    brief = {back_end: [row for row in ROWS if back_end in row.brief] for back_end in STORES}
    always = [row for rows in brief.values() for row in rows]
    stored = {re.sub(":(before|after)$", "", point) for point in points(ROWS) if point.startswith(STORED)}

    assert set(points(always)) == set(points(ROWS))
    assert {row.mood for row in always} == {row.mood for row in ROWS}
    assert len(stored) == KINDS_STORED
    for rows in brief.values():
        assert stored <= {re.sub(":(before|after)$", "", point) for point in points(rows)}


@asynccontextmanager
async def running(
    folder: Path, location: Location, more: str = "", runs: Sequence[Run] = ()
) -> AsyncIterator[MemoryWorld]:
    """Run a daemon that nobody kills but the test itself."""
    async with (
        open_nursery() as nursery,
        open_memory_world(folder, nursery, location, runs, more) as world,
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
        await world.converse(3)
        await world.clerk.half_said.wait()
        async with away(postgres):
            gate.set()
            await asyncio.sleep(DOWN_SECONDS)
        await world.converse()
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


@pytest.mark.parametrize("point", ["memory.store_postgres.writing:LearnOutcome:before:1", f"{FINISHING}:before:1", ""])
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


@pytest.mark.parametrize("back_end", STORES)
async def test_dead_tasks_outlive_a_kill_keep_nobody_waiting_and_are_learnt_when_somebody_revives_them(
    back_end: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with running(tmp_path, await new_place(back_end, request), FEW, (Run(),)) as world:
        world.clerk.failures = 4
        await world.converse(2)
        await world.until(lambda: world.look().dead == 2)
        world.children[-1].kill()
        await world.until(lambda: world.is_through)
        await world.converse()
        await world.at_rest(dead=2)
        asked = len(world.clerk.asked_of)
        await revive(world)
        await world.at_rest()
    outcome = await world.outcome()

    assert asked == 6  # nobody was asked again about what is dead
    assert list(outcome.faults()) == []
