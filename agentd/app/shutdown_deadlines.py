"""What the signals ask for, and how the time until the end is shared out.

Turns have most of it. What is kept from them is for what follows: tasks are parked, files and connections closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agentd.conversation.router import Drain
from agentd.tasks.queue import Leaving

__all__ = ["Stop"]

GRACE_SECONDS = 5.0
"""How long background tasks that run may take at the end: what is cut is kept, and costs one more call of the model."""

END_SHARE, MOST_END_SECONDS = 0.3, 8.0
"""What of the time turns do not get."""

PARK_SECONDS = 6.0
"""What parking tasks takes at most."""

CLOSE_SECONDS = 1.0
"""What is kept for what comes after that."""

LEAST_SECONDS = 0.1

INSISTED_SECONDS = 2.0
"""What is left after a second signal."""


class Stop:
    """What the signals ask for: to end, and then to end at once."""

    def __init__(self, drain_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin unasked; once asked, the daemon is to be gone after so many seconds."""
        self.requested = asyncio.Event()
        self.insisted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.drain_seconds = drain_seconds
        self._monotonic = monotonic
        self._until: float | None = None

    def ask(self) -> None:
        """Take one signal."""
        if not self.requested.is_set():
            self.requested.set()
            self._until = self._monotonic() + self.drain_seconds
        elif not self.insisted.done():
            self.insisted.set_result(None)
            self._until = min(self.until, self._monotonic() + INSISTED_SECONDS)

    async def insistence(self) -> None:
        """Return once nothing is to be waited for any more."""
        await asyncio.wait([self.insisted])

    @property
    def until(self) -> float:
        """Return when the daemon is to be gone; a shutdown that no signal asked for begins when this is asked first."""
        if self._until is None:
            self._until = self._monotonic() + self.drain_seconds
        return self._until

    @property
    def drain(self) -> Drain:
        """Return what running turns may take."""
        return Drain(self.drain_seconds - min(END_SHARE * self.drain_seconds, MOST_END_SECONDS), self.insisted)

    @property
    def leaving(self) -> Leaving:
        """Return what background tasks may take."""
        return Leaving(self._rest_seconds, self.insistence, self._park_seconds)

    def close_seconds(self) -> float:
        """Return what closing connections may take."""
        return max(self.until - self._monotonic(), CLOSE_SECONDS)

    def _rest_seconds(self) -> float:
        return min(max(self.until - self._monotonic() - PARK_SECONDS - CLOSE_SECONDS, 0.0), GRACE_SECONDS)

    def _park_seconds(self) -> float:
        return max(self.until - self._monotonic() - CLOSE_SECONDS, LEAST_SECONDS)
