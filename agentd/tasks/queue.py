"""The queue of background tasks, as the rest of the daemon sees it: what is asked of it, and what it answers.

A task is asked for by name, with the words that it needs, and done at least once: a task that was cut is done again, so
its job must do twice what it would do once. Tasks of one session are done one at a time, in the order in which they
came. No import of this module loads the engine.
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
"""The state of a task that is not tried any more."""

MOST_DELAY_SECONDS = 86_400
"""No task rests for longer, whatever it waits for: one that would was put off by a clock that was ahead."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

Args = Mapping[str, Json]
"""The words that a task carries: gone with the task when it is done, kept when it is dead, never logged."""

Job = Callable[[Args], Awaitable[None]]
"""Does a task. What it raises is a failed attempt: of a `TaskFault` or AgentdError the text is kept, else the kind.

A `TaskPostponed` is none: the task is tried again when that says.
"""


Spare = Callable[[str, Args], Args | None]
"""Takes a task's name and words; returns the words that are to stay, the same or others, or None for none."""


def spare_none(task: str, args: Args) -> None:
    """Let nothing stay."""


class TaskFault(Exception):
    """Why a task could not be done, in words that hold nothing of what a person wrote."""


class TaskPostponed(Exception):
    """A task that cannot be done yet, through no fault of its own: that counts as no failure, however often."""

    def __init__(self, seconds: float) -> None:
        """Say for how long."""
        super().__init__(f"to be tried again in {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Order:
    """One task to be done."""

    task: str
    """A name that has a job, at most 40 characters of a-z, 0-9 and `_`."""
    args: Args = field(default_factory=dict)
    session: str | None = None
    """Whose it is: at most one task of a session is under way, and none overtakes another."""
    once: str | None = None
    """While a task with this text waits for its first attempt, or one with the same words is dead, none is taken; nor,
    for a session's task, while one with the same words waits for another attempt or is under way."""
    delay_seconds: float = 0
    """At most `MOST_DELAY_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task as `agentd tasks list` shows it; one that was done is no longer there."""

    id: int
    task: str
    session: str | None
    state: str
    """`todo`, `doing`, `failed` (dead), or `aborted` until it is swept away."""
    attempts: int
    """How often it was begun and ended, or was cut."""
    error: str | None
    """Why the last attempt failed."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of tasks that were to go."""

    removed: int
    left: int
    """Those still under way: they go when they end."""


class TaskLooking(Protocol):
    """Tells of tasks. Everything here raises StorageError where that cannot be had."""

    async def entries(self, *, dead: bool = False) -> list[Entry]:
        """Return the tasks, or the dead ones, the oldest first."""
        ...

    async def about(self, session: str, seq: int) -> list[Entry]:
        """Return those of a session's tasks whose words say that they are about this message."""
        ...


class TaskQueue(TaskLooking, Protocol):
    """Keeps tasks until they are done. Everything here raises StorageError where that cannot be had."""

    async def defer(self, order: Order) -> bool:
        """Keep a task, durably; False where one with the same `once` waits already, or its like is known."""
        ...

    async def retry(self, number: int) -> None:
        """Let a dead task be tried anew, from its first attempt on. Raises AgentdError where there is none."""
        ...

    async def erase(self, session: str, spare: Spare = spare_none) -> Cleared:
        """Remove a session's tasks and their words, but for what is to be spared of them: that is queued anew."""
        ...


@dataclass(frozen=True, slots=True)
class Gauges:
    """Where figures go."""

    observe_seconds: Callable[[str, float], None] = lambda task, seconds: None
    """Takes a task's name, and how long an attempt took."""
    set_count: Callable[[str, int], None] = lambda state, count: None
    """Takes a state, and how many tasks are in it."""
    swept: Callable[[bool], None] = lambda is_idle: None
    """Called every few seconds, whether the database answers or refuses, with whether tasks wait and none is done."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """How long running jobs may take to end at a shutdown; what cuts that short."""

    rest_seconds: Callable[[], float]
    """Asked when the queue is left."""
    insisted: Callable[[], Coroutine[Any, Any, object]] | None = None
    """Returns when nothing is to be waited for any more."""
    park_seconds: Callable[[], float] = lambda: inf
    """How long what is cut then may take to let go; asked when it is cut."""
