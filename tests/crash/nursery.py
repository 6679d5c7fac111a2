"""This module forks daemons by the hundred (`tests/forking.py`), and watches and kills them from the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.crash import target
from tests.forking import LARGEST_LINE, Forking, News, Order

LOST = 70
"""The exit code of a child whose parent is gone."""


class Child:
    """One process, as its parent's parent sees it."""

    def __init__(self, log: Path, notice: Callable[[], None]) -> None:
        """Call `notice` at each news."""
        self.log = log
        self.steps: list[str] = []
        self.code: int | None = None
        self._pid = 0
        self._kills: list[int] = []
        self._notice = notice
        self._ended = asyncio.Event()

    def take(self, news: News) -> None:
        """Take in what is new."""
        if news.pid:
            self._pid = news.pid
            for number in self._kills:
                self.kill(number)
        elif news.step:
            self.steps.append(news.step)
        else:
            self.code = news.code
            self._ended.set()
        self._notice()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, or as soon as the process is there."""
        if not self._pid:
            self._kills.append(number)
        elif self.code is None:
            os.kill(self._pid, number)

    async def ended(self) -> int:
        """Wait for its end, and return the exit code, or the negative of the signal that ended it."""
        await self._ended.wait()
        assert self.code is not None
        return self.code


class Nursery:
    """The forking process, for as long as the block of `open_nursery` lasts."""

    def __init__(self, forking: Forking, channel: str) -> None:
        """Order from a process whose daemons talk by way of `channel`."""
        self.channel = channel
        self._forking = forking
        self._children: dict[int, Child] = {}
        self._end = 0

    def start(self, plan: target.Plan, log: Path, notice: Callable[[], None] = lambda: None) -> Child:
        """Start a daemon."""
        return self._order(log, notice, plan=plan)

    async def run(self, log: Path, *words: str) -> int:
        """Run a command to its end, with its output in `log`, and return the exit code."""
        return await self._order(log, lambda: None, words=tuple(map(os.fsencode, words))).ended()

    async def listen(self, lines: asyncio.StreamReader) -> None:
        """Hand each child its news, until all have ended."""
        async for line in lines:
            news = msgspec.json.decode(line, type=News)
            if news.number == self._end:
                return
            if child := self._children.get(news.number):  # else it is of the test before, which let it run
                child.take(news)
        for number, child in self._children.items():
            if child.code is None:
                child.take(News(number=number, code=LOST))

    def end(self) -> None:
        """Kill what still runs."""
        self._end = self._forking.number()
        self._forking.order(Order(number=self._end))

    def _order(
        self,
        log: Path,
        notice: Callable[[], None],
        plan: target.Plan | None = None,
        words: tuple[bytes, ...] | None = None,
    ) -> Child:
        number = self._forking.number()
        self._children[number] = child = Child(log, notice)
        self._forking.order(Order(number=number, out=str(log), plan=plan, words=words))
        return child


@asynccontextmanager
async def open_nursery(channel: str = "telegram") -> AsyncIterator[Nursery]:
    """Have a forking process for this block; at its end what still runs is killed."""
    forking = Forking.of(channel)
    lines = asyncio.StreamReader(LARGEST_LINE)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(os.dup(forking.news), "rb", buffering=0)
    )
    nursery = Nursery(forking, channel)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(nursery.listen(lines), name="nursery")
            try:
                yield nursery
            finally:
                nursery.end()
    finally:
        pipe.close()
