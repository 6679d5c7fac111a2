"""This module computes the exponential backoff of a channel: the pause before it tries something again."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Growing"]


@dataclass(frozen=True, slots=True)
class Growing:
    """A pause that doubles with each failed try, from `first_seconds` up to `last_seconds`."""

    first_seconds: float
    last_seconds: float

    def after(self, tries: int) -> float:
        """Return the pause in seconds when `tries` pauses have gone before it."""
        return min(self.first_seconds * 2.0 ** min(tries, 32), self.last_seconds)
