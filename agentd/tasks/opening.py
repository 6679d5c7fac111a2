"""Opens the task queue: alone for the command line, or with its worker for the daemon. Imports the engine only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from agentd.tasks.queue import Gauges, Job, Leaving, TaskQueue
from agentd.tasks.settings import TasksSettings

if TYPE_CHECKING:
    from agentd.tasks.places import Place
    from agentd.tasks.timing import QueueTiming
    from agentd.tasks.working import Workshop

__all__ = ["Surroundings", "load_engine", "locate", "open_queue", "open_tasks", "work_at"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the queue needs of the process that it runs in."""

    now: Callable[[], datetime]
    leaving: Leaving
    gauges: Gauges = field(default=Gauges())
    timing: QueueTiming | None = None
    """None: the usual."""


def locate(url: SecretStr, workspace: Path) -> Path | SecretStr:
    """Return where tasks are stored: in the database of the URL if there is one, else in the workspace."""
    return url if url.get_secret_value() else workspace / "tasks.db"


def load_engine() -> None:
    """Import what the queue and its jobs need; this takes half a second, so it is called on a thread.

    Until its first task a daemon does not have it in memory either.
    """
    import agentd.tasks.consolidating
    import agentd.tasks.working  # noqa: F401 - for its effect


@asynccontextmanager
async def open_queue(location: Path | SecretStr, now: Callable[[], datetime]) -> AsyncIterator[TaskQueue]:
    """Open the queue without running its tasks. Raises ConfigError and StorageError."""
    from procrastinate import App

    from agentd.tasks.engine_log import discreet
    from agentd.tasks.ledger import Ledger
    from agentd.tasks.places import open_place
    from agentd.tasks.timing import EVER_SECONDS, QueueTiming

    with discreet():
        async with open_place(location, now) as place:
            gone_seconds = QueueTiming().stale_seconds if place.is_shared else EVER_SECONDS
            yield Ledger(App(connector=place.connector), place, now, gone_seconds)


@asynccontextmanager
async def open_tasks(
    location: Path | SecretStr, settings: TasksSettings, jobs: Mapping[str, Job], around: Surroundings
) -> AsyncIterator[TaskQueue]:
    """Open the queue and run its tasks until the block ends; the next run does what is unfinished then.

    A file may be opened by one process only, which the workspace's lock ensures. Raises ConfigError and StorageError.
    """
    from agentd.tasks.places import open_place

    async with open_place(location, around.now) as place, work_at(place, settings, jobs, around) as queue:
        yield queue


@asynccontextmanager
async def work_at(
    place: Place, settings: TasksSettings, jobs: Mapping[str, Job], around: Surroundings
) -> AsyncIterator[TaskQueue]:
    """Run the tasks of an open database until the block ends."""
    from procrastinate import App
    from procrastinate.exceptions import ConnectorException

    from agentd.tasks.engine_log import discreet
    from agentd.tasks.faults import unusable
    from agentd.tasks.ledger import Ledger
    from agentd.tasks.timing import QueueTiming
    from agentd.tasks.working import Workshop

    app = App(connector=place.connector)
    limits = settings.concurrency, settings.max_attempts
    workshop = Workshop(app, place, jobs, limits, around.gauges, around.timing or QueueTiming())
    with discreet():
        try:
            await workshop.begin()
        except ConnectorException as fault:
            raise unusable(fault) from fault
        async with _at_work(workshop, around.leaving):
            yield Ledger(app, place, around.now)


@asynccontextmanager
async def _at_work(workshop: Workshop, leaving: Leaving) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(workshop.run(), name="tasks")
        sweeping = tasks.create_task(workshop.sweep(), name="tasks' sweep")
        try:
            yield
        finally:
            cut = tasks.create_task(leaving.insisted(), name="tasks' cut") if leaving.insisted else None
            try:
                await workshop.close(running, leaving, cut)
            finally:
                for task in (running, sweeping, cut):
                    if task is not None:
                        task.cancel()
