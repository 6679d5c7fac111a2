"""Handles the stop signals (SIGTERM, SIGINT), and divides the time of a shutdown among turns, tasks and files.

Turns get most of it. The rest is for what follows: background tasks are parked, files and connections closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agentd.conversation.router import Drain
from agentd.tasks.queue import Leaving

__all__ = ["Stop"]

GRACE_SECONDS = 5.0
"""How long running background tasks may take at the end; one that is cut is kept, and costs another model call."""

END_SHARE, MOST_END_SECONDS = 0.3, 8.0
"""The share of the time that turns do not get, and its upper bound."""

PARK_SECONDS = 6.0
"""Upper bound for parking tasks."""

CLOSE_SECONDS = 1.0
"""Reserved for what comes after that."""

LEAST_SECONDS = 0.1

INSISTED_SECONDS = 2.0
"""What is left after a second signal."""


class Stop:
    """Records the stop signals: the first asks to stop, the second to stop at once."""

    def __init__(self, drain_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin unasked; once asked, the daemon has to be gone after `drain_seconds`."""
        self.requested = asyncio.Event()
        self.insisted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.drain_seconds = drain_seconds
        self._monotonic = monotonic
        self._until: float | None = None

    def ask(self) -> None:
        """Record a signal."""
        if not self.requested.is_set():
            self.requested.set()
            self._until = self._monotonic() + self.drain_seconds
        elif not self.insisted.done():
            self.insisted.set_result(None)
            self._until = min(self.until, self._monotonic() + INSISTED_SECONDS)

    async def insistence(self) -> None:
        """Return once a second signal has asked to stop at once."""
        await asyncio.wait([self.insisted])

    @property
    def until(self) -> float:
        """Return the deadline of the shutdown; without a signal, it is set when first asked for."""
        if self._until is None:
            self._until = self._monotonic() + self.drain_seconds
        return self._until

    @property
    def drain(self) -> Drain:
        """Return the time for running turns."""
        return Drain(self.drain_seconds - min(END_SHARE * self.drain_seconds, MOST_END_SECONDS), self.insisted)

    @property
    def leaving(self) -> Leaving:
        """Return the times for background tasks."""
        return Leaving(self._rest_seconds, self.insistence, self._park_seconds)

    def close_seconds(self) -> float:
        """Return the time for closing connections."""
        return max(self.until - self._monotonic(), CLOSE_SECONDS)

    def _rest_seconds(self) -> float:
        return min(max(self.until - self._monotonic() - PARK_SECONDS - CLOSE_SECONDS, 0.0), GRACE_SECONDS)

    def _park_seconds(self) -> float:
        return max(self.until - self._monotonic() - CLOSE_SECONDS, LEAST_SECONDS)
