"""Opens the task queue when the first task comes, or at once if tasks wait: importing its engine costs 11 MB.

A daemon that nobody talks to does without. The queue lives in a task of its own, since who opens it does not close it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

import structlog

from agentd.errors import AgentdError, ConfigError, StorageError
from agentd.tasks.opening import load_engine
from agentd.tasks.queue import Cleared, Entry, Order, Spare, TaskQueue, spare_none

__all__ = ["has_tasks", "open_late"]

Open = Callable[[TaskQueue], AbstractAsyncContextManager[TaskQueue]]
"""Opens the real queue; it gets the late one, since jobs may queue tasks themselves."""

log = structlog.get_logger()


def has_tasks(path: Path) -> bool:
    """Tell whether tasks may wait in a file; True too if that cannot be determined, so that it is opened and
    looked at.
    """
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [found] = connection.execute("SELECT EXISTS (SELECT 1 FROM job WHERE status <> 'failed')").fetchone()
    except sqlite3.Error:
        return True
    return bool(found)


@asynccontextmanager
async def open_late(open_queue: Open, *, at_once: bool) -> AsyncIterator[TaskQueue]:
    """Open the queue now, or with the first call; leaving the block closes it as `open_queue` does.

    Opening it now raises what `open_queue` does; later, a call raises StorageError, and the next call tries again.
    """
    late = _Late(open_queue)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(late.keep(), name="queue")
        try:
            if at_once:
                await late.opened()
            yield late
        finally:
            late.leave()
            await asyncio.wait([keeping])


class _Late:
    """A `TaskQueue` that is opened by its first call."""

    def __init__(self, open_queue: Open) -> None:
        self._open = open_queue
        self._wanted = asyncio.Event()
        self._left = asyncio.Event()
        self._queue: asyncio.Future[TaskQueue] | None = None

    async def defer(self, order: Order) -> bool:
        return await (await self._get()).defer(order)

    async def entries(self, *, dead: bool = False) -> list[Entry]:
        return await (await self._get()).entries(dead=dead)

    async def about(self, session: str, seq: int) -> list[Entry]:
        return await (await self._get()).about(session, seq)

    async def retry(self, number: int) -> None:
        await (await self._get()).retry(number)

    async def erase(self, session: str, spare: Spare = spare_none) -> Cleared:
        return await (await self._get()).erase(session, spare)

    async def opened(self) -> TaskQueue:
        """Return the open queue. Raises what opening it raises."""
        if self._left.is_set():
            raise StorageError("the queue of background tasks is closed")
        if self._queue is None:
            self._queue = asyncio.get_running_loop().create_future()
            self._wanted.set()
        return await asyncio.shield(self._queue)

    async def _get(self) -> TaskQueue:
        try:
            return await self.opened()
        except ConfigError as fault:
            raise StorageError(str(fault)) from fault

    def leave(self) -> None:
        """Make the queue close."""
        self._left.set()
        self._wanted.set()

    async def keep(self) -> None:
        """Open the queue when it is wanted, and close it when it is left; if opening fails, the next call tries
        again.
        """
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            asked = self._queue
            if asked is None:
                return  # left before anybody wanted it
            try:
                await asyncio.to_thread(load_engine)
                async with self._open(self) as queue:
                    asked.set_result(queue)
                    await self._left.wait()
            except Exception as fault:
                if asked.done():
                    raise
                log.warning("tasks_not_opened", fault=str(fault))
                self._queue = None
                known = isinstance(fault, AgentdError)
                asked.set_exception(fault if known else StorageError(f"the queue of tasks cannot be opened ({fault})"))
                asked.exception()  # retrieved, even if nobody waits any more
            else:
                return
