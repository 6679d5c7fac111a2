"""Passes a reply from the native thread that makes it to the event loop that reads it."""

from __future__ import annotations

import asyncio
import contextlib
import queue

__all__ = ["Reply"]

_PIECES_WAITING = 64
_LOOK_UP_SECONDS = 1.0


class Reply:
    """A bounded queue from the thread to the event loop.

    The thread waits while the queue is full, the reader while it is empty. `stop` lets the thread through and tells it,
    at its next piece, that nobody reads any more. Created on the event loop.
    """

    def __init__(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._pieces: queue.Queue[bytes] = queue.Queue(_PIECES_WAITING)
        self._arrived = asyncio.Event()
        self._stopped = False
        self._ended = False
        self._error: BaseException | None = None

    @property
    def stopped(self) -> bool:
        """Whether nobody reads any more."""
        return self._stopped

    def put(self, piece: bytes) -> bool:
        """Pass a piece on (thread); return True if nobody reads any more, which is llama.cpp's sign to stop."""
        # A loop that has ended without closing anything has no reader left, and its process waits for this thread.
        while self._loop.is_running() and not self._stopped:
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=_LOOK_UP_SECONDS)
                self._ring()
                return self._stopped
        return True

    def end(self, error: BaseException | None) -> None:
        """Mark the end (thread), with an error if it ended badly. Called once."""
        self._error = error
        self._ended = True
        self._ring()

    async def get(self) -> bytes | None:
        """Wait for the next piece; None at the end. Raises the error that the thread ended with."""
        while True:
            ended = self._ended  # before looking, since a last piece may come between the two
            with contextlib.suppress(queue.Empty):
                return self._pieces.get_nowait()
            if ended and self._error is not None:
                raise self._error
            if ended:
                return None
            # The event is set on this loop, so not between here and the wait.
            self._arrived.clear()
            await self._arrived.wait()

    def stop(self) -> None:
        """Stop reading, without waiting: the thread notices at its next piece."""
        self._stopped = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._pieces.get_nowait()

    def _ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._arrived.set)
