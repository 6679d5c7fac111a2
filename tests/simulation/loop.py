"""This module is an event loop in simulated time: its clock jumps to what is due next, and jobs run in line.

Nothing here waits, opens a socket or starts a thread. Two runs that make the same calls get the same order of
everything: tasks hash by the order of their making, since asyncio keeps them in sets. A job for an executor takes a
drawn time before it begins and before its end is known, so that others act in between and cancellation can strike.
"""

from __future__ import annotations

import asyncio
import itertools
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from random import Random
from typing import Any, TypeVar, TypeVarTuple

from agentd.errors import AgentdError

__all__ = ["Died", "Stuck", "VirtualLoop", "drain"]

MOST_ROUNDS = 300_000
"""A run takes a few thousand: one that takes so many goes round in a circle."""

MOST_ROUNDS_AT_ONCE = 20_000
"""The same, without any time passing."""

DRAIN_ROUNDS = 200

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Died(BaseException):
    """The process is gone; nothing of it goes on."""


class Stuck(Exception):
    """Nothing can happen any more, or something happens for ever."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    def __init__(
        self, coro: Coroutine[Any, Any, Any], number: int, *, loop: asyncio.AbstractEventLoop, **more: Any
    ) -> None:
        self._number = number
        super().__init__(coro, loop=loop, **more)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(BaseEventLoop):
    """One process's loop, from its start at `now` on."""

    def __init__(self, now: float, dice: Random, job_seconds: tuple[float, ...]) -> None:
        """Let a job take one of these times before it begins, and one before its end is known."""
        super().__init__()
        self._now = now
        self._dice = dice
        self._job_seconds = job_seconds
        self._rounds = itertools.count()
        self._rounds_at_once = 0
        self._selector = self
        self.is_dead = False
        numbers = itertools.count()
        self.set_task_factory(lambda loop, coro, **more: self._make(next(numbers), loop, coro, more))

    def time(self) -> float:
        """Return the virtual time."""
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Pass the time until the next thing that is due."""
        if self.is_dead:
            raise Died
        self._rounds_at_once = 0 if timeout else self._rounds_at_once + 1
        if next(self._rounds) > MOST_ROUNDS or self._rounds_at_once > MOST_ROUNDS_AT_ONCE:
            raise Stuck(f"goes round in a circle; {self._waiting()}")
        if timeout is None:
            raise Stuck(f"nothing is ready, and nothing is ever due; {self._waiting()}")
        self._now += timeout
        return []

    def begin_again(self) -> None:
        """Go on after an end, for as long as anything may take."""
        self.is_dead = False
        self._rounds = itertools.count()
        self._rounds_at_once = 0

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run a blocking function in line, some time from now."""
        del executor
        done: asyncio.Future[T] = self.create_future()
        self.call_later(self._dice.choice(self._job_seconds), self._work, done, lambda: func(*args))
        return done

    def _work(self, done: asyncio.Future[T], job: Callable[[], T]) -> None:
        if done.cancelled():  # no thread had taken it yet
            return
        try:
            result = job()
        except (OSError, AgentdError) as fault:
            self.call_later(self._dice.choice(self._job_seconds), _fail, done, fault)
        else:
            self.call_later(self._dice.choice(self._job_seconds), _succeed, done, result)

    def _make(
        self,
        number: int,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        more: dict[str, Any],
    ) -> _Task:
        assert isinstance(coro, Coroutine)
        return _Task(coro, number, loop=loop, **more)

    def _waiting(self) -> str:
        names = sorted(task.get_name() for task in asyncio.all_tasks(self))
        return f"at {self._now:.3f} s wait: {', '.join(names)}"

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there is one thread."""


def drain(loop: VirtualLoop) -> None:
    """End the tasks of a dead loop, only so that Python can free them, and close it."""
    loop.begin_again()
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        loop.run_until_complete(_cancel_all())
    finally:
        loop.close()


async def _cancel_all() -> None:
    for _ in range(DRAIN_ROUNDS):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return
        for task in others:
            task.cancel()
        await asyncio.sleep(0)
    raise Stuck(f"{len(asyncio.all_tasks()) - 1} tasks of a dead process cannot be cancelled")


def _fail(done: asyncio.Future[Any], fault: Exception) -> None:
    if not done.done():
        done.set_exception(fault)


def _succeed(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)
