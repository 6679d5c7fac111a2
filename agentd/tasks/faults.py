"""Turns a fault of the tasks' database into a StorageError, and describes why a task failed without people's words."""

from __future__ import annotations

import traceback
from pathlib import Path

from agentd.errors import AgentdError, StorageError
from agentd.tasks.queue import TaskFault

__all__ = ["describe", "unusable"]

ROOT = Path(__file__).parents[2]
OURS = ("agentd", "memory", "channels")
MOST_CHARACTERS = 500


def unusable(fault: BaseException) -> StorageError:
    """Return the error to raise; procrastinate wraps what its database says."""
    told = str(fault.__cause__ or fault).strip().splitlines()
    reason = told[0] if told else type(fault).__name__
    return StorageError(
        f"the background tasks cannot be read or written ({reason}): "
        "check tasks.db and its disk, or the server that storage.url names"
    )


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
