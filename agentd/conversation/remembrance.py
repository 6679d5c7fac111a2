"""Bundles what the conversation needs of memory: the store, the task queue, and who a person is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agentd.tasks.queue import TaskQueue
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Source
from memory.model import Who
from memory.ports import MemoryStore
from memory.settings import MemorySettings

__all__ = ["Remembrance", "author_id"]


MOST_REREAD = 4
"""How many sessions' pasts may be in memory at once: after a crash there may be hundreds to read."""


async def _nothing() -> None:
    """Do nothing: the default when no vectors are wanted."""


@dataclass(frozen=True, slots=True)
class Remembrance:
    """Long-term memory, and the queue of what is still to be learnt."""

    store: MemoryStore
    queue: TaskQueue
    senders_of: Callable[[str], frozenset[str]]
    """Takes a person's id, CHANNEL:SENDER, and returns all linked ids of that person, that one included."""
    settings: MemorySettings
    since: str = ""
    """When memory was switched on, as a record's time stamp: what was said before is not learnt."""
    embed: Callable[[], Awaitable[None]] = _nothing
    """Called when there are entries without a vector."""
    rereading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_REREAD))
    """Held while a session's past is read from its file for the queue."""

    def who(self, key: SessionKey, source: Source) -> Who:
        """Return who asks, and whether in private; if that is not on record, others are assumed to read along."""
        return Who(self.senders_of(author_id(key, source)), direct=source.direct is True)


def author_id(key: SessionKey, source: Source) -> str:
    """Return an author's id, CHANNEL:SENDER."""
    return f"{key.channel}:{source.author.id}"
