"""The short wait for announced messages: further parts of an album or a long paste, and more of a stale backlog."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

__all__ = ["BACKLOG_SECONDS", "PART_SECONDS", "REST_SECONDS", "RESUMED_SECONDS", "Quiet"]

PART_SECONDS = 0.8
"""Between two parts: platforms deliver an album as separate messages, at most 0.6 to 0.8 s apart."""

BACKLOG_SECONDS = 1.0
"""Between two messages of a backlog, so that one notice can cover all of it."""

RESUMED_SECONDS = 15.0
"""For a message that an earlier run received only in part: until the channels run, which takes 10 s at most."""

REST_SECONDS = 3.0
"""From then on, for its rest: the platform delivers it as soon as it is asked."""


class Quiet:
    """Until when more messages are expected; without an announcement there is no wait."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Expect nothing yet."""
        self._monotonic = monotonic
        self._until = -inf

    def expect(self, seconds: float) -> None:
        """Wait so many seconds from now, instead of what was set before."""
        self._until = self._monotonic() + seconds

    def end(self) -> None:
        """Expect nothing more."""
        self._until = -inf

    @property
    def left_seconds(self) -> float:
        """Return how long to wait still; 0: not at all."""
        return max(self._until - self._monotonic(), 0.0)
