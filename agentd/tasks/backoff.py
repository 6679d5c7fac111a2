"""Computes the backoff between the attempts of a background task. No I/O."""

from __future__ import annotations

__all__ = ["pause_seconds"]

FIRST_SECONDS = 30
LAST_SECONDS = 6 * 3600
GROWTH = 4.0
"""With five attempts: 30 s, 2 min, 8 min, 32 min; so a provider may be down for half an hour without dead tasks."""


def pause_seconds(failures: int) -> float:
    """Return how long to wait after so many failed attempts, at least one."""
    return float(min(FIRST_SECONDS * GROWTH ** min(failures - 1, 16), LAST_SECONDS))
