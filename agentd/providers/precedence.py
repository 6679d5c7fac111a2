"""Gives turns precedence over background work when both want to ask a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["Precedence"]

T = TypeVar("T")

WAIT_SECONDS = 10.0
"""How long background work waits for turns at most: with many people there is always one."""

MOST_CUTS = 5
"""How often work is cut and done again; after that it runs to its end, and a turn waits for it once."""


class Precedence:
    """Slots for turns, and the rule by which background work stands back.

    A model that handles one request at a time would make a turn wait for the end of a consolidation: there (`cuts`) the
    work is cut as soon as a turn comes, and done again after it.
    """

    def __init__(self, turns: int, *, cuts: bool) -> None:
        """Allow so many turns at once."""
        self._slots = asyncio.Semaphore(turns)
        self._cuts = cuts
        self._ahead = 0
        self._free = asyncio.Event()
        self._free.set()
        self._behind: set[asyncio.Timeout] = set()

    async def acquire(self) -> bool:
        """Take a slot for a turn; background work stands back from now on."""
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
        """Release a turn's slot."""
        self._slots.release()
        self._leave()

    async def behind(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do background work when no turn is under way, or after 10 s; if turns cut it, it is done again."""
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
