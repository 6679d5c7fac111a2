"""This module forks processes on demand, by the hundred, from one that has imported everything once.

What it forks is a process of its own from its first line on; only the half second of imports is saved. What that
passes (`steps.py`) and how it ends comes back as lines, in their order. Run as a module, this is that process; each
test process keeps one of each kind until its end.
"""

from __future__ import annotations

import atexit
import gc
import os
import select
import signal
import socket
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import anyio
import msgspec

from agentd.cli import main as command_line
from tests.crash import target
from tests.flow.process import environment

__all__ = ["LARGEST_LINE", "Forking", "News", "Order"]

ROOT = Path(__file__).parents[1]
LARGEST_LINE = 1 << 16

LATE = (
    *(f"agentd.cli.{command}" for command in ("pair", "run", "sessions", "status", "tasks", "version", "worker")),
    *(f"agentd.conversation.{commands}" for commands in ("linking", "memorising")),
    "agentd.people.answering",
    "agentd.providers.anthropic",
    "agentd.providers.openai",
    *(f"agentd.tasks.{part}" for part in ("consolidating", "working")),
    "agentd.transcript.tending",
    "channels.markup.parsing",
    "memory.consolidation",
    *(f"anyio.{part}" for part in ("abc", "lowlevel", "streams.tls", "to_thread")),
    "httpcore",
)
"""What the daemon, the command line and the clients import only when they need it."""


class Order(msgspec.Struct, kw_only=True):
    """What a child is to be: a daemon with a plan, or a command of the command line; neither is the end of them all."""

    number: int
    out: str = ""
    """The file that it writes to, and of its errors, if that is another."""
    errors: str = ""
    folder: str = ""
    mask: int | None = None
    plan: target.Plan | None = None
    words: tuple[bytes, ...] | None = None
    """As the system has them: not all are text."""


class News(msgspec.Struct, kw_only=True):
    """What became of a child: it began, passed a step, or ended (`code` is negative for a signal)."""

    number: int
    pid: int = 0
    step: str = ""
    code: int | None = None


class Forking:
    """The forking process, as those that order see it; a number is given once."""

    def __init__(self, channel: str) -> None:
        """Start it; daemons that it forks talk by way of `channel`."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", channel],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment(),
            cwd=ROOT,
        )
        self._last = 0

    @staticmethod
    @cache
    def of(channel: str = "") -> Forking:
        """Return this process's own one, which is there until the end."""
        forking = Forking(channel)
        atexit.register(forking.close)
        return forking

    @property
    def news(self) -> int:
        """The descriptor that news come from, a line each."""
        assert self._process.stdout
        return self._process.stdout.fileno()

    def number(self) -> int:
        """Return the next number."""
        self._last += 1
        return self._last

    def order(self, order: Order) -> None:
        """Order a child, or their end."""
        assert self._process.stdin
        assert self._process.poll() is None, "the forking process has ended: what it said stands above"
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")

    def close(self) -> None:
        """End it, and with it what still runs."""
        self._process.communicate()


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
        self._end_all()

    def _take_orders(self) -> bool:
        received = os.read(0, LARGEST_LINE)
        *lines, self._orders = (self._orders + received).split(b"\n")
        for line in lines:
            self._obey(msgspec.json.decode(line, type=Order))
        return bool(received)

    def _obey(self, order: Order) -> None:
        if order.plan is None and order.words is None:
            self._end_all()
            self._tell(News(number=order.number, code=0))
            return
        pid = os.fork()
        if pid == 0:
            self._become(order)
        self._children[pid] = order.number
        self._tell(News(number=order.number, pid=pid))

    def _end_all(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._children.clear()

    def _become(self, order: Order) -> None:
        """Be the child, and never return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _settle(order)
            if order.plan is not None:
                code = target.run(order.plan, lambda step: self._tell(News(number=order.number, step=step)))
            else:
                sys.argv = ["agentd", *map(os.fsdecode, order.words or ())]
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


def _settle(order: Order) -> None:
    """Read nothing, write to files, and stand where it is wanted."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    out = _open(order.out)
    os.dup2(out, 1)
    os.dup2(_open(order.errors) if order.errors else out, 2)
    if order.folder:
        os.chdir(order.folder)
    if order.mask is not None:
        os.umask(order.mask)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


if __name__ == "__main__":
    if channel := sys.argv[1]:
        target.load(channel)
    for module in LATE:
        import_module(module)
    sys.modules["sniffio"] = None  # type: ignore[assignment]  # not there, and asked for at every lock: see conftest.py
    anyio.run(anyio.sleep, 0)  # which imports what it runs on
    _Parent().serve()
