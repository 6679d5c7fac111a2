"""What the signals ask for, and how long what is still to be done may take."""

from __future__ import annotations

import asyncio
import time

__all__ = ["Stop"]

GRACE_SECONDS = 5.0
"""How long background tasks that run may take at the end: what is cut is kept, and costs one more call of the model."""


class Stop:
    """What the signals ask for: to end, and then to end at once."""

    def __init__(self) -> None:
        """Begin unasked."""
        self.requested = asyncio.Event()
        self.insisted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked_at = 0.0

    def ask(self) -> None:
        """Take one signal."""
        if self.requested.is_set() and not self.insisted.done():
            self.insisted.set_result(None)
        if not self.requested.is_set():
            self._asked_at = time.monotonic()
        self.requested.set()

    async def insistence(self) -> None:
        """Return once nothing is to be waited for any more."""
        await asyncio.wait([self.insisted])

    def rest_seconds(self, drain_seconds: float) -> float:
        """Return how long background tasks may still take."""
        spent = time.monotonic() - self._asked_at if self.requested.is_set() else 0.0
        return min(max(drain_seconds - spent, 0.0), GRACE_SECONDS)
