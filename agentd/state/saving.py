"""Saves to `state.db`, every few seconds, what parts learn or count, so that no reply waits for it.

A killed process loses the last `SAVE_SECONDS`; one that ends normally, nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import structlog

from agentd.errors import StorageError

__all__ = ["SAVE_SECONDS", "Changing", "Save", "save", "save_regularly"]

SAVE_SECONDS = 5
PAUSE_SECONDS = 60
"""After a fault, since a full disk stays full for a while, and each try is logged."""

log = structlog.get_logger()

K = TypeVar("K")
V = TypeVar("V")

Save = Callable[[], Awaitable[bool]]
"""Saves what has changed; returns whether it is on disk."""


class Changing(Protocol[K, V]):
    """A part that tracks its own changes."""

    def take_changed(self) -> Mapping[K, V]:
        """Return what has changed since the last call."""
        ...

    def put_back(self, changed: Mapping[K, V], /) -> None:
        """Count these as changed again: they may not be on disk."""
        ...


async def save(part: Changing[K, V], keep: Callable[[Mapping[K, V]], Awaitable[None]]) -> bool:
    """Save what has changed; return whether it is on disk. If it may not be, the next call saves it again."""
    changed = part.take_changed()
    if not changed:
        return True
    is_kept = False
    try:
        await keep(changed)
        is_kept = True
    except (sqlite3.Error, StorageError) as fault:
        log.error("state_not_saved", fault=str(fault))
    finally:
        if not is_kept:
            part.put_back(changed)
    return is_kept


@asynccontextmanager
async def save_regularly(saves: Sequence[Save], seconds: float = SAVE_SECONDS) -> AsyncIterator[None]:
    """Save every few seconds, and once more at the end of the block."""
    async with asyncio.TaskGroup() as tasks:
        saving = tasks.create_task(_save_on(saves, seconds), name="saving")
        try:
            yield
        finally:
            saving.cancel()
            await asyncio.wait([saving])  # what it was saving is put back
            for each in saves:
                await each()


async def _save_on(saves: Sequence[Save], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        if not all([await each() for each in saves]):
            await asyncio.sleep(max(PAUSE_SECONDS, seconds))
