"""Daemons by the hundred: a process that has imported everything once, and forks one on demand.

A daemon is a process of its own from its first line on; only the half second of imports is saved. What it passes
(`steps.py`) and how it ends comes back as lines, in their order. Run as a module, this is that process.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import select
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import anyio
import msgspec

from agentd.cli import main as command_line
from tests.crash import target
from tests.flow.process import environment

ROOT = Path(__file__).parents[2]
LARGEST_LINE = 1 << 16

LATE = (
    *(f"agentd.cli.{command}" for command in ("pair", "run", "sessions", "status", "version")),
    *(f"anyio.{part}" for part in ("abc", "lowlevel", "streams.tls", "to_thread")),
    "httpcore",
)
"""What the command line and the clients import only when they need it."""

LOST = 70
"""The exit code of a child whose parent is gone."""


class Order(msgspec.Struct, kw_only=True):
    """What a child is to be: a daemon with a plan, or a command of the command line."""

    number: int
    log: str
    plan: target.Plan | None = None
    words: tuple[str, ...] = ()


class News(msgspec.Struct, kw_only=True):
    """What became of a child: it began, passed a step, or ended (`code` is negative for a signal)."""

    number: int
    pid: int = 0
    step: str = ""
    code: int | None = None


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

    def __init__(self, process: Process, channel: str) -> None:
        """Speak with a process that has begun; its daemons talk by way of `channel`."""
        self.channel = channel
        self._process = process
        self._children: dict[int, Child] = {}
        self._numbers = itertools.count(1)
        self._is_gone = False

    def start(self, plan: target.Plan, log: Path, notice: Callable[[], None] = lambda: None) -> Child:
        """Start a daemon."""
        return self._order(log, notice, plan=plan)

    async def run(self, log: Path, *words: str) -> int:
        """Run a command to its end, with its output in `log`, and return the exit code."""
        return await self._order(log, lambda: None, words=words).ended()

    async def listen(self) -> None:
        """Hand each child its news, until the process ends."""
        assert self._process.stdout
        async for line in self._process.stdout:
            news = msgspec.json.decode(line, type=News)
            self._children[news.number].take(news)
        self._is_gone = True
        for number, child in self._children.items():
            if child.code is None:
                child.take(News(number=number, code=LOST))

    def _order(
        self, log: Path, notice: Callable[[], None], plan: target.Plan | None = None, words: tuple[str, ...] = ()
    ) -> Child:
        number = next(self._numbers)
        self._children[number] = child = Child(log, notice)
        assert self._process.stdin
        assert not self._is_gone, "the forking process has ended: what it said stands above"
        order = Order(number=number, log=str(log), plan=plan, words=words)
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        return child


@asynccontextmanager
async def open_nursery(channel: str = "telegram") -> AsyncIterator[Nursery]:
    """Start the forking process; at the end it kills what still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.nursery", channel),
        stdin=PIPE,
        stdout=PIPE,
        env=environment(),
        cwd=ROOT,
        limit=LARGEST_LINE,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            nursery = Nursery(process, channel)
            listening = tasks.create_task(nursery.listen(), name="nursery")
            try:
                yield nursery
            finally:
                assert process.stdin
                process.stdin.close()
            await listening
    finally:
        if process.returncode is None:
            await process.wait()


class _Parent:
    """The forking process itself: no loop, no thread, so that a fork of it is sound."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        self._children: dict[int, int] = {}
        self._orders = b""
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        self._waker = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno())

    def serve(self) -> None:
        """Fork on demand until there are no more orders, then kill what is left."""
        gc.freeze()  # what is imported stays shared with the children
        while True:
            ready, _, _ = select.select([0, self._wake.fileno()], [], [])
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
                self._reap()
            if 0 in ready and not self._take_orders():
                break
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _take_orders(self) -> bool:
        received = os.read(0, LARGEST_LINE)
        *lines, self._orders = (self._orders + received).split(b"\n")
        for line in lines:
            self._fork(msgspec.json.decode(line, type=Order))
        return bool(received)

    def _fork(self, order: Order) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(order)
        self._children[pid] = order.number
        self._tell(News(number=order.number, pid=pid))

    def _become(self, order: Order) -> None:
        """Be the child, and never return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _redirect(order.log)
            if order.plan is not None:
                code = target.run(order.plan, lambda step: self._tell(News(number=order.number, step=step)))
            else:
                sys.argv = ["agentd", *order.words]
                command_line.main()
                code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for pid, number in list(self._children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._children[pid]
                self._tell(News(number=number, code=os.waitstatus_to_exitcode(status)))

    def _tell(self, news: News) -> None:
        # One write of less than PIPE_BUF: lines of several processes do not mix.
        os.write(self._out, msgspec.json.encode(news) + b"\n")


def _redirect(log: str) -> None:
    """Read nothing, and write to a file."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)


if __name__ == "__main__":
    target.load(sys.argv[1])
    for module in LATE:
        import_module(module)
    anyio.run(anyio.sleep, 0)  # which imports what it runs on
    _Parent().serve()
