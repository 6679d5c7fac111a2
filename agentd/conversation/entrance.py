"""The way into a session: one message, edit or deletion is taken in at a time, and none while it is shut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from channels.errors import NotAccepted

__all__ = ["Entrance"]

PATIENCE_SECONDS = 90.0
"""How long whoever wants to shut it waits for what is being taken in."""


class Entrance:
    """Knows who is on the way in, and rings the bell when one is."""

    def __init__(self, bell: asyncio.Event) -> None:
        """Begin with nobody."""
        self.lock = asyncio.Lock()
        """Whoever has it is alone."""
        self._bell = bell
        self._waiting = 0

    @property
    def is_used(self) -> bool:
        """Tell whether somebody is on the way in, or has shut it: the session is not to be forgotten meanwhile."""
        return self._waiting > 0

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Take something in within the block, alone."""
        with self._used():
            async with self.lock:
                yield

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Let nothing in until the end of the block.

        Raises NotAccepted where what is being taken in does not end: a file that comes in may take its time.
        """
        with self._used():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self.lock.acquire()
            except TimeoutError as fault:
                raise NotAccepted("a message is still being taken in: try again in a moment") from fault
            try:
                yield
            finally:
                self.lock.release()

    @contextmanager
    def _used(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._bell.set()
