"""Computes the backoff between a task's attempts, and describes why one failed without people's words. No I/O."""

from __future__ import annotations

import traceback
from pathlib import Path

from agentd.errors import AgentdError
from agentd.tasks.queue import TaskFault

__all__ = ["describe", "pause_seconds"]

FIRST_SECONDS = 30
LAST_SECONDS = 6 * 3600
GROWTH = 4.0
"""With five attempts: 30 s, 2 min, 8 min, 32 min; so a provider may be down for half an hour without dead tasks."""

ROOT = Path(__file__).parents[2]
OURS = ("agentd", "memory", "channels")
MOST_CHARACTERS = 500


def pause_seconds(failures: int) -> float:
    """Return how long to wait after so many failed attempts, at least one."""
    return float(min(FIRST_SECONDS * GROWTH ** min(failures - 1, 16), LAST_SECONDS))


def describe(fault: BaseException) -> str:
    """Describe a fault without people's words: an exception's text may hold them, so only our own errors' text
    is kept.
    """
    if isinstance(fault, TaskFault | AgentdError):
        return str(fault)[:MOST_CHARACTERS]
    place = _place(fault)
    return f"{type(fault).__name__} at {place}" if place else type(fault).__name__


def _place(fault: BaseException) -> str | None:
    """Return the innermost line of our own code in the fault's traceback."""
    for frame in reversed(traceback.extract_tb(fault.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS:
            return f"{path.relative_to(ROOT).as_posix()}:{frame.lineno}"
    return None
