"""Lets whoever answers people go before what nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["Precedence"]

T = TypeVar("T")

WAIT_SECONDS = 10.0
"""How long work in the background stands back for turns at most: with many people there is always one."""

MOST_CUTS = 5
"""So often work is begun anew; after that it goes on, and a turn waits for it once."""


class Precedence:
    """Slots for turns, and what work in the background heeds.

    A model that does one thing at a time would keep a turn waiting for the end of a consolidation: there (`cuts`) the
    work is broken off as soon as a turn comes, and begun anew behind it.
    """

    def __init__(self, turns: int, *, cuts: bool) -> None:
        """Let so many turns ask at once."""
        self._slots = asyncio.Semaphore(turns)
        self._cuts = cuts
        self._ahead = 0
        self._free = asyncio.Event()
        self._free.set()
        self._behind: set[asyncio.Timeout] = set()

    async def acquire(self) -> bool:
        """Take a slot for a turn; work in the background stands back from now on."""
        self._ahead += 1
        self._free.clear()
        if self._cuts:
            for scope in self._behind:
                if not scope.expired():
                    scope.reschedule(asyncio.get_running_loop().time())
        has_slot = False
        try:
            has_slot = await self._slots.acquire()
        finally:
            if not has_slot:
                self._leave()
        return has_slot

    def release(self) -> None:
        """Give a turn's slot back."""
        self._slots.release()
        self._leave()

    async def behind(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do work when no turn is under way, or after a while; where a turn comes it may be done more than once."""
        for _ in range(MOST_CUTS if self._cuts else 0):
            await self._stand_back()
            scope = asyncio.timeout(None)
            try:
                async with scope:
                    self._behind.add(scope)
                    return await work()
            except TimeoutError:
                if not scope.expired():
                    raise
            finally:
                self._behind.discard(scope)
        await self._stand_back()
        return await work()

    async def _stand_back(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.wait()
        except TimeoutError:
            return

    def _leave(self) -> None:
        self._ahead -= 1
        if not self._ahead:
            self._free.set()
