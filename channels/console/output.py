"""Where the console's answers go: a descriptor that is written as fast as its reader reads, and no faster.

It is written past Python's own buffers: what they cannot get rid of would hold up, or spoil, the process's end.
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

        Cancelling gives up a block that has not begun; one that has goes on, and later ones wait for it.
        """
        await self._turn.acquire()
        await on_thread(partial(_write, self._descriptor, content), "console-output", self._turn.release)


def is_closed(fault: OSError) -> bool:
    """Tell whether whoever read the output has gone (a pipe's end, a window), rather than that it failed."""
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
