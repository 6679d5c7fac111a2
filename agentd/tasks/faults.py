"""Turns a fault of the tasks' database into the StorageError that the queue's callers get."""

from __future__ import annotations

from agentd.errors import StorageError

__all__ = ["unusable"]


def unusable(fault: BaseException) -> StorageError:
    """Return the error to raise; procrastinate wraps what its database says."""
    told = str(fault.__cause__ or fault).strip().splitlines()
    reason = told[0] if told else type(fault).__name__
    return StorageError(
        f"the background tasks cannot be read or written ({reason}): "
        "check tasks.db and its disk, or the server that storage.url names"
    )
