"""The time limit of a turn: bounds all its waits together, and lets `/stop` or a joining message end them early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, Protocol

__all__ = ["Cut", "CutOff", "Slots", "TurnDeadline"]

Cut = Literal["stopped", "joined", "superseded", "deleted", "timeout", "unrecorded"]


class Slots(Protocol):
    """A limit on turns at once, such as a semaphore."""

    async def acquire(self) -> bool:
        """Wait for a free slot."""
        ...

    def release(self) -> None:
        """Give a slot back."""
        ...


class CutOff(Exception):
    """A wait was ended by `cut` or by the time limit."""


class TurnDeadline:
    """The waits of one turn, which share one deadline."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Set the deadline so many seconds from now."""
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds
        self._scope: asyncio.Timeout | None = None
        self.why: Cut | None = None
        """Why the waits were cut; None if they were not, also if the deadline ended them."""

    def cut(self, why: Cut) -> None:
        """End the wait under way and all later ones: for good, or (`joined`) until `renew`."""
        if self.why in (None, "joined"):
            self.why = why
            if self._scope is not None and not self._scope.expired():  # an expired one is ending already
                self._scope.reschedule(asyncio.get_running_loop().time())

    def renew(self) -> None:
        """Allow waiting again, after a cut."""
        self.why = None

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Raise CutOff if `cut` or the deadline ends the wait in the body."""
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
        """Wait for a slot, and hold it during the body."""
        async with self.waiting():
            await slots.acquire()
        try:
            yield
        finally:
            slots.release()
