"""This module bounds how many places are caught up on at once; one that waits for something else lends its slot out."""

from __future__ import annotations

import asyncio

__all__ = ["Slot"]


class Slot:
    """A place's slot of a semaphore, which can be given back and taken again."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        """Begin without the slot."""
        self._slots = slots
        self._is_taken = False

    async def take(self) -> None:
        """Wait for a slot, unless this holds one."""
        if not self._is_taken:
            await self._slots.acquire()
            self._is_taken = True

    def give_back(self) -> None:
        """Give the slot back, if this holds one."""
        if self._is_taken:
            self._is_taken = False
            self._slots.release()
