from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from functools import partial

import pytest
from structlog.testing import capture_logs

from agentd.errors import StorageError
from agentd.state.saving import save, save_regularly


class Counting:
    """A part whose figures change."""

    def __init__(self) -> None:
        self.changed: dict[str, int] = {}

    def take_changed(self) -> dict[str, int]:
        changed, self.changed = self.changed, {}
        return changed

    def put_back(self, changed: Mapping[str, int], /) -> None:
        self.changed = {**changed, **self.changed}


class Shelf:
    """What was kept; it may refuse, and it may take its time."""

    def __init__(self, *faults: Exception) -> None:
        self.kept: dict[str, int] = {}
        self.tries = 0
        self.free = asyncio.Event()
        self.free.set()
        self.tried = asyncio.Event()
        self._faults = list(faults)

    async def keep(self, changed: Mapping[str, int]) -> None:
        self.tries += 1
        self.tried.set()
        await self.free.wait()
        if self._faults:
            raise self._faults.pop(0)
        self.kept.update(changed)


async def test_what_has_changed_is_saved_once() -> None:
    part, shelf = Counting(), Shelf()
    part.changed["a"] = 1

    assert await save(part, shelf.keep)
    assert await save(part, shelf.keep)
    assert (shelf.kept, shelf.tries) == ({"a": 1}, 1)


@pytest.mark.parametrize("fault", [sqlite3.OperationalError("database is locked"), StorageError("no disk")])
async def test_what_was_not_saved_is_the_next_time_unless_it_has_changed_again(fault: Exception) -> None:
    part, shelf = Counting(), Shelf(fault)
    part.changed.update({"a": 1, "b": 2})
    with capture_logs() as logs:
        first = await save(part, shelf.keep)
    part.changed["a"] = 3
    second = await save(part, shelf.keep)

    assert (first, second) == (False, True)
    assert shelf.kept == {"a": 3, "b": 2}
    assert [(log["event"], log["fault"]) for log in logs] == [("state_not_saved", str(fault))]


async def test_it_is_saved_while_the_daemon_runs() -> None:
    part, shelf = Counting(), Shelf()
    part.changed["a"] = 1
    async with save_regularly([partial(save, part, shelf.keep)], seconds=0):
        async with asyncio.timeout(10):
            await shelf.tried.wait()

        assert shelf.kept == {"a": 1}


async def test_and_once_more_at_its_end_also_where_that_is_a_cancellation() -> None:
    part, shelf = Counting(), Shelf()
    begun = asyncio.Event()

    async def run() -> None:
        async with save_regularly([partial(save, part, shelf.keep)], seconds=1_000):
            part.changed["a"] = 1
            begun.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await begun.wait()
        running.cancel()

    assert shelf.kept == {"a": 1}


async def test_what_was_being_saved_when_the_end_came_is_saved() -> None:
    part, shelf = Counting(), Shelf()
    shelf.free.clear()
    part.changed["a"] = 1
    async with save_regularly([partial(save, part, shelf.keep)], seconds=0):
        async with asyncio.timeout(10):
            await shelf.tried.wait()
        shelf.free.set()

    assert shelf.kept == {"a": 1}
