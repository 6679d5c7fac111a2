"""Memory as the conversation uses it: whose it is, and who may see it where."""

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
"""So many sessions' pasts are in memory at once: after a crash there may be one for each of hundreds."""


async def _nothing() -> None:
    """Do nothing: vectors are not wanted."""


@dataclass(frozen=True, slots=True)
class Remembrance:
    """What remembers, and the queue of what is still to be learnt."""

    store: MemoryStore
    queue: TaskQueue
    senders_of: Callable[[str], frozenset[str]]
    """Takes a person's id, CHANNEL:SENDER, and returns all ids of that person, this one among them."""
    settings: MemorySettings
    since: str = ""
    """When memory was switched on, as records write it: what was said before is not learnt."""
    embed: Callable[[], Awaitable[None]] = _nothing
    """Tells that there is something new without a vector."""
    rereading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_REREAD))
    """Held while what a session's file says is on its way to the queue."""

    def who(self, key: SessionKey, source: Source) -> Who:
        """Return who asks, and whether in private: where that is not on record, others may read along."""
        return Who(self.senders_of(author_id(key, source)), direct=source.direct is True)


def author_id(key: SessionKey, source: Source) -> str:
    """Return an author's id, CHANNEL:SENDER."""
    return f"{key.channel}:{source.author.id}"
