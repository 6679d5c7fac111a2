"""How long a task that failed rests until it is tried again. No I/O."""

from __future__ import annotations

__all__ = ["pause_seconds"]

FIRST_SECONDS = 30
LAST_SECONDS = 6 * 3600
GROWTH = 4.0
"""With five attempts: 30 s, 2 min, 8 min, 32 min. A provider that is down for half an hour costs no dead letters."""


def pause_seconds(failures: int) -> float:
    """Return how long a task rests after so many failed attempts, at least one."""
    return float(min(FIRST_SECONDS * GROWTH ** min(failures - 1, 16), LAST_SECONDS))
