"""The port to the queue of background tasks: what the rest of the daemon can ask of it, and the types of its answers.

A task is ordered by name, with the words that it needs, and done at least once: an interrupted task is done again, so
doing its job twice must have the effect of once. Tasks of one session are done one at a time, in order. Importing this
module does not load the engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol, TypeAlias

__all__ = [
    "DEAD",
    "MOST_DELAY_SECONDS",
    "Args",
    "Cleared",
    "Entry",
    "Gauges",
    "Job",
    "Json",
    "Leaving",
    "Order",
    "Spare",
    "TaskFault",
    "TaskLooking",
    "TaskPostponed",
    "TaskQueue",
    "spare_none",
]

DEAD = "failed"
"""The state of a dead task, which is not retried."""

MOST_DELAY_SECONDS = 86_400
"""No task rests for longer, whatever it waits for: one that would was put off by a clock that was ahead."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

Args = Mapping[str, Json]
"""The words that a task carries: deleted with it when it is done, kept when it is dead, never logged."""

Job = Callable[[Args], Awaitable[None]]
"""Does a task. Any exception is a failed attempt; of a TaskFault or AgentdError the text is kept, of others the kind.

TaskPostponed is no failure: it says when to try again.
"""


Spare = Callable[[str, Args], Args | None]
"""Takes a task's name and words; returns the words to keep, changed or not, or None to keep nothing."""


def spare_none(task: str, args: Args) -> None:
    """Keep nothing."""


class TaskFault(Exception):
    """Why a task failed, in words that hold nothing of what a person wrote."""


class TaskPostponed(Exception):
    """The task cannot be done yet; that is no failure, however often it happens."""

    def __init__(self, seconds: float) -> None:
        """Set the time until the next try."""
        super().__init__(f"to be tried again in {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Order:
    """A task to be done."""

    task: str
    """A name that has a job, at most 40 characters of a-z, 0-9 and `_`."""
    args: Args = field(default_factory=dict)
    session: str | None = None
    """The session it belongs to: at most one task of a session runs at a time, and none overtakes another."""
    once: str | None = None
    """Deduplicates tasks.

    None is taken while a task with this text waits for its first attempt, or one with the same words is dead; nor, for
    a session's task, while one with the same words waits for another attempt or runs.
    """
    delay_seconds: float = 0
    """At most `MOST_DELAY_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task as `agentd tasks list` shows it; tasks that were done are gone."""

    id: int
    task: str
    session: str | None
    state: str
    """`todo`, `doing`, `failed` (dead), or `aborted` until it is swept away."""
    attempts: int
    """How many attempts have ended or were cut."""
    error: str | None
    """Why the last attempt failed."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The result of erasing tasks."""

    removed: int
    left: int
    """Tasks that still run; they are removed when they end."""


class TaskLooking(Protocol):
    """Lists tasks. All methods raise StorageError if the queue is unavailable."""

    async def entries(self, *, dead: bool = False) -> list[Entry]:
        """Return all tasks, or only the dead ones, oldest first."""
        ...

    async def about(self, session: str, seq: int) -> list[Entry]:
        """Return a session's tasks whose words say that they are about this message."""
        ...


class TaskQueue(TaskLooking, Protocol):
    """Keeps tasks until they are done. All methods raise StorageError if the queue is unavailable."""

    async def defer(self, order: Order) -> bool:
        """Store a task, durably; return False if one with the same `once` waits, or the same task is known already."""
        ...

    async def retry(self, number: int) -> None:
        """Queue a dead task again, from its first attempt. Raises AgentdError if there is none of this number."""
        ...

    async def erase(self, session: str, spare: Spare = spare_none) -> Cleared:
        """Remove a session's tasks and their words; what `spare` keeps of one is queued as a new task."""
        ...


@dataclass(frozen=True, slots=True)
class Gauges:
    """Callbacks for the metrics."""

    observe_seconds: Callable[[str, float], None] = lambda task, seconds: None
    """Called with a task's name and the seconds that an attempt took."""
    set_count: Callable[[str, int], None] = lambda state, count: None
    """Called with a state and the number of tasks in it."""
    swept: Callable[[bool], None] = lambda is_idle: None
    """Called every few seconds, even if the database refuses, with whether tasks wait although none runs."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The time that running jobs get at a shutdown."""

    rest_seconds: Callable[[], float]
    """How long jobs may go on; asked when the queue is left."""
    insisted: Callable[[], Coroutine[Any, Any, object]] | None = None
    """Returns when nothing is to be waited for any more."""
    park_seconds: Callable[[], float] = lambda: inf
    """How long jobs that are cut may take to end; asked when they are cut."""
