"""These tests check a queue that is opened on demand: once, again after a fault, and closed in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentd.errors import ConfigError, StorageError
from agentd.tasks.late import has_tasks, open_late
from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Order, TaskQueue
from tests.contract.task_stands import now


class Door:
    """Opens a real queue, and counts how often; it can be made to refuse."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = 0
        self.closed = 0
        self.faults: list[Exception] = []

    @asynccontextmanager
    async def open(self, late: TaskQueue) -> AsyncIterator[TaskQueue]:
        """Open it."""
        del late
        if self.faults:
            raise self.faults.pop(0)
        async with open_queue(self.path, now) as queue:
            self.opened += 1
            yield queue
        self.closed += 1


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path / "tasks.db")


async def test_a_queue_that_nobody_asks_is_never_opened(door: Door) -> None:
    async with open_late(door.open, at_once=False):
        pass

    assert (door.opened, door.path.exists()) == (0, False)


async def test_the_first_task_opens_it_once_for_all_that_ask_at_the_time(door: Door) -> None:
    async with open_late(door.open, at_once=False) as queue, asyncio.TaskGroup() as tasks:
        for n in range(5):
            tasks.create_task(queue.defer(Order("note", {"n": n})))
    async with open_queue(door.path, now) as queue:
        kept = await queue.entries()

    assert (door.opened, door.closed, len(kept)) == (1, 1, 5)


async def test_where_tasks_wait_it_is_opened_at_the_start(door: Door) -> None:
    async with open_late(door.open, at_once=True):
        assert door.opened == 1

    assert door.closed == 1


async def test_one_that_cannot_be_had_at_the_start_says_so(door: Door) -> None:
    door.faults = [ConfigError("of a later version")]
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match="later version")):
        async with open_late(door.open, at_once=True):
            pass


@pytest.mark.parametrize("fault", [StorageError("the disk is full"), ConfigError("the disk is full")])
async def test_one_that_cannot_be_had_later_refuses_the_task_and_is_tried_with_the_next(
    door: Door, fault: Exception
) -> None:
    door.faults = [fault]
    async with open_late(door.open, at_once=False) as queue:
        with pytest.raises(StorageError, match="the disk is full"):
            await queue.defer(Order("note"))
        await queue.defer(Order("note"))
        kept = await queue.entries()

    assert len(kept) == 1
    assert door.closed == 1


async def test_who_asks_after_the_end_is_refused(door: Door) -> None:
    async with open_late(door.open, at_once=False) as queue:
        pass
    with pytest.raises(StorageError, match="closed"):
        await queue.defer(Order("note"))


async def test_a_cancelled_daemon_closes_it_in_order(door: Door) -> None:
    is_open = asyncio.Event()

    async def live() -> None:
        async with open_late(door.open, at_once=True):
            is_open.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        living = tasks.create_task(live())
        await is_open.wait()
        living.cancel()

    assert (door.opened, door.closed) == (1, 1)


async def test_tasks_are_seen_without_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    before = has_tasks(path)
    async with open_queue(path, now) as queue:
        empty = has_tasks(path)
        await queue.defer(Order("note"))
        waiting = has_tasks(path)
    path.write_bytes(b"no database")

    assert (before, empty, waiting, has_tasks(path)) == (False, False, True, True)
