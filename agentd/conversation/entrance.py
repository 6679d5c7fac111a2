"""The lock in front of a session: one message, edit or deletion is accepted at a time, and none while it is shut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from channels.errors import NotAccepted

__all__ = ["Entrance"]

PATIENCE_SECONDS = 90.0
"""How long `shut` waits for a message that is just being accepted."""


class Entrance:
    """Counts who waits for the lock or holds it, and rings the actor's bell when one of them is done."""

    def __init__(self, bell: asyncio.Event) -> None:
        """Create an open entrance that nobody uses."""
        self.lock = asyncio.Lock()
        """Held by whoever is accepting something, or has shut the entrance."""
        self._bell = bell
        self._waiting = 0

    @property
    def is_used(self) -> bool:
        """Tell whether anybody waits for the lock or holds it: the actor must not leave memory meanwhile."""
        return self._waiting > 0

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Hold the lock for the block, to accept one message."""
        with self._used():
            async with self.lock:
                yield

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Accept nothing until the end of the block.

        Raises NotAccepted if the message that is being accepted takes too long: its files may be large.
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
