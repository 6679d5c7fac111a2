"""This module writes the console's answers to a file descriptor, as fast as its reader reads and no faster.

It bypasses Python's buffered streams: bytes that those cannot flush would delay the process's exit or make it fail.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
from functools import partial

from channels.console.threads import on_thread

__all__ = ["Output", "is_closed"]


class Output:
    """Writes whole blocks, one at a time and in order."""

    def __init__(self, descriptor: int) -> None:
        """Write to an open descriptor, blocking or not."""
        self._descriptor = descriptor
        self._turn = asyncio.Semaphore(1)

    async def write(self, content: bytes) -> None:
        """Return once all of it is written. Raises OSError.

        Cancelling drops a block whose writing has not begun; one that has begun goes on, and later ones wait for it.
        """
        await self._turn.acquire()
        await on_thread(partial(_write, self._descriptor, content), "console-output", self._turn.release)


def is_closed(fault: OSError) -> bool:
    """Tell whether writing failed because the reader has gone (a closed pipe or window) and for no other reason."""
    return isinstance(fault, ConnectionError) or fault.errno == errno.EIO


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
