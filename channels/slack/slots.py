"""How many places are asked at once, where one that takes long gives its share to the next meanwhile."""

from __future__ import annotations

import asyncio

__all__ = ["Slot"]


class Slot:
    """A place's share, which it may give back and take again."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        """Begin without it."""
        self._slots = slots
        self._is_taken = False

    async def take(self) -> None:
        """Wait for it, unless it is taken."""
        if not self._is_taken:
            await self._slots.acquire()
            self._is_taken = True

    def give_back(self) -> None:
        """Let another take it, unless that is done."""
        if self._is_taken:
            self._is_taken = False
            self._slots.release()
