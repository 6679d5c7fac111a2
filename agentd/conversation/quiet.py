"""The short wait for what announces itself: the parts of an album or of a long paste, and a backlog that comes in."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

__all__ = ["BACKLOG_SECONDS", "PART_SECONDS", "REST_SECONDS", "RESUMED_SECONDS", "Quiet"]

PART_SECONDS = 0.8
"""Between two parts: platforms hand over an album's as separate messages, 0.6 to 0.8 s apart at most."""

BACKLOG_SECONDS = 1.0
"""Between two messages of a backlog: it is told about once, not message by message."""

RESUMED_SECONDS = 15.0
"""For what an earlier run saw only the beginning of, until the channels are heard; that takes 10 s at most."""

REST_SECONDS = 3.0
"""For its rest, from then on: the platform hands it over as soon as it is asked."""


class Quiet:
    """When nothing more is expected; what did not announce itself is never waited for."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Expect nothing yet."""
        self._monotonic = monotonic
        self._until = -inf

    def expect(self, seconds: float) -> None:
        """Wait so long from now, unless told otherwise."""
        self._until = self._monotonic() + seconds

    def end(self) -> None:
        """Expect nothing more."""
        self._until = -inf

    @property
    def left_seconds(self) -> float:
        """Return how long is to be waited; 0: not at all."""
        return max(self._until - self._monotonic(), 0.0)
