"""Tells what memory did with a message: learnt from it, queued it, or gave up. Loads no engine (`agentd trace`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from agentd.tasks.exchanges import CONSOLIDATE
from agentd.tasks.queue import TaskLooking
from memory.model import Exchange, Words
from memory.ports import MemoryWriting

__all__ = ["Asked", "Fate", "Waiting", "fate_of", "parse_asked"]

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The message that is asked about; `person` is its author, CHANNEL:SENDER."""

    session: str
    began: str
    seq: int
    person: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A task about the message, as `agentd tasks list` shows it."""

    id: int
    state: str
    attempts: int
    error: str | None


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What memory knows of the message; `learnt` is None if there is no memory to ask."""

    learnt: bool | None = None
    tasks: list[Waiting] = []
    doing: str = ""
    """What the session's actor is doing, if a daemon runs that knows."""


async def fate_of(asked: Asked, store: MemoryWriting | None, queue: TaskLooking | None, doing: str = "") -> Fate:
    """Look the message up. Raises MemoryUnusable and StorageError."""
    entries = await queue.about(asked.session, asked.seq) if queue is not None else []
    tasks = [
        Waiting(id=entry.id, state=entry.state, attempts=entry.attempts, error=entry.error)
        for entry in entries
        if entry.task == CONSOLIDATE
    ]
    learnt = None if store is None else await store.knows(_exchange(asked))
    return Fate(learnt=learnt, tasks=tasks, doing=doing)


def parse_asked(request: Mapping[str, object]) -> Asked:
    """Parse a request of the command line. Raises msgspec.ValidationError."""
    return msgspec.convert(request, Asked)


def _exchange(asked: Asked) -> Exchange:
    words = Words(asked.seq, _NEVER, "")
    return Exchange(
        asked.session, asked.seq, asked.seq, asked.person, "", direct=True, said=(words,), began=asked.began
    )
