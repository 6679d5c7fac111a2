"""How long a turn waits: until its time is over, or somebody says why it should not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, Protocol

__all__ = ["Cut", "CutOff", "Slots", "TurnDeadline"]

Cut = Literal["stopped", "joined", "superseded", "timeout", "unrecorded"]


class Slots(Protocol):
    """What so many turns may hold at once, such as a semaphore."""

    async def acquire(self) -> bool:
        """Wait for one."""
        ...

    def release(self) -> None:
        """Give one back."""
        ...


class CutOff(Exception):
    """The wait was ended from outside, or by the clock."""


class TurnDeadline:
    """The waits of one turn, which share one end."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Wait for so many seconds from now on, all in all."""
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds
        self._scope: asyncio.Timeout | None = None
        self.why: Cut | None = None
        """Why the waits are over; None while they are not, and where the clock ended them."""

    def cut(self, why: Cut) -> None:
        """End the wait under way, and those to come: for good, or (`joined`) until `renew`."""
        if self.why in (None, "joined"):
            self.why = why
            if self._scope is not None and not self._scope.expired():  # else the wait is ending already
                self._scope.reschedule(asyncio.get_running_loop().time())

    def renew(self) -> None:
        """Wait on, after having been cut."""
        self.why = None

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Raise `CutOff` where `cut`, or the clock, ends the wait in the body."""
        if self.why is not None:
            raise CutOff
        scope = asyncio.timeout(max(self._ends_at - self._monotonic(), 0))
        try:
            async with scope:
                self._scope = scope
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise CutOff from None
        finally:
            self._scope = None

    @asynccontextmanager
    async def holding(self, slots: Slots) -> AsyncIterator[None]:
        """Wait for a slot, and hold it for the body."""
        async with self.waiting():
            await slots.acquire()
        try:
            yield
        finally:
            slots.release()
