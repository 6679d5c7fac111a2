"""This module opens each task queue for the suite that runs over all of them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.testing import InMemoryConnector

from agentd.tasks import own_queries
from agentd.tasks.opening import Surroundings, work_at
from agentd.tasks.places import Location, Place, open_place
from agentd.tasks.queue import Args, Entry, Gauges, Job, Leaving, TaskQueue
from agentd.tasks.settings import TasksSettings
from agentd.tasks.timing import QueueTiming
from channels.backoff import Growing
from tests.contract.prepared import prepared_database
from tests.platforms.postgres_server import MISSING, PostgresServer, find_programs, running_server

__all__ = [
    "PATIENT",
    "QUICK",
    "WORDS",
    "LocationStand",
    "Log",
    "MemoryStand",
    "Stand",
    "now",
    "postgres",
    "stand",
    "until",
    "until_dead",
    "until_empty",
]

NO_GAUGES = Gauges()
PATIENT = Leaving(lambda: 5.0)
QUICK = QueueTiming(
    sweep_seconds=0.05, stale_seconds=30, restart=Growing(0.01, 0.05), pause_seconds=lambda failures: 0.0
)


def now() -> datetime:
    return datetime.now(UTC)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that the test's own jobs bring about."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - many jobs bring it about, none alone
            await asyncio.sleep(0.005)


async def until_empty(queue: TaskQueue) -> None:
    """Wait until nothing is left of any task."""
    async with asyncio.timeout(20):
        while await queue.entries():  # noqa: ASYNC110 - a queue has no event for it
            await asyncio.sleep(0.005)


async def until_dead(queue: TaskQueue) -> list[Entry]:
    """Wait until there is a dead task; return those that there are."""
    async with asyncio.timeout(20):
        while not (dead := await queue.entries(dead=True)):  # noqa: ASYNC110 - nor for this
            await asyncio.sleep(0.005)
    return dead


@dataclass
class Log:
    """Jobs that write down what is done to them."""

    begun: list[Any] = field(default_factory=list)
    done: list[Any] = field(default_factory=list)
    most_at_once: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    faults: list[Exception] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)

    async def note(self, args: Args) -> None:
        """Write down that it was done."""
        self.begun.append(args["n"])
        self.done.append(args["n"])

    async def wait(self, args: Args) -> None:
        """Wait at the gate; it is open or shut for all."""
        self.begun.append(args["n"])
        self.most_at_once = max(self.most_at_once, len(self.begun) - len(self.done))
        await self.gate.wait()
        self.done.append(args["n"])

    async def fail(self, args: Args) -> None:
        """Fail with the next fault, if there is one left."""
        self.begun.append(args["n"])
        if self.faults:
            raise self.faults.pop(0)
        self.done.append(args["n"])

    async def wait_and_fail(self, args: Args) -> None:
        """Wait at the gate, then fail with the next fault, if there is one left."""
        self.begun.append(args["n"])
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.done.append(args["n"])

    def pause(self, failures: int) -> float:
        """Write down after how many failures a pause was asked for."""
        self.pauses.append(failures)
        return 0.0

    @property
    def jobs(self) -> dict[str, Job]:
        return {"note": self.note, "wait": self.wait, "fail": self.fail, "wait_and_fail": self.wait_and_fail}


class Stand(ABC):
    """A place, opened as often as wanted, with what was kept in it the time before."""

    is_durable = True

    @abstractmethod
    def open_place(self) -> AbstractAsyncContextManager[Place]:
        """Open the place."""

    @asynccontextmanager
    async def work(
        self,
        log: Log,
        timing: QueueTiming = QUICK,
        gauges: Gauges = NO_GAUGES,
        leaving: Leaving = PATIENT,
        **settings: int,
    ) -> AsyncIterator[TaskQueue]:
        """Open the place and do its tasks."""
        around = Surroundings(now, leaving, gauges, timing)
        async with (
            self.open_place() as place,
            work_at(replace(place, poll_seconds=0.05), TasksSettings(**settings), log.jobs, around) as queue,
        ):
            yield queue


class LocationStand(Stand):
    def __init__(self, location: Location) -> None:
        self.location = location

    def open_place(self) -> AbstractAsyncContextManager[Place]:
        return open_place(self.location, now)


class _Remembering(InMemoryConnector):
    """procrastinate's own, with our queries beside its."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[int, tuple[int, str]] = {}
        self.reverse_queries |= {getattr(own_queries, name): name.lower() for name in own_queries.__all__}

    async def keep_failure_one(self, job_id: int, error: str) -> dict[str, Any]:
        failures = self.failures.get(job_id, (0, ""))[0] + 1
        self.failures[job_id] = failures, error
        return {"failures": failures}

    async def free_queueing_lock_run(self, job_id: int) -> None:
        self.jobs[job_id]["queueing_lock"] = None

    async def is_known_one(self, task_name: str, lock: str | None, words: str) -> dict[str, Any]:
        like = {"task_name": task_name, "lock": lock, "args": {"words": words}}
        states = ("failed",) if lock is None else ("failed", "todo", "doing")
        found = (job for job in self.jobs.values() if like.items() <= job.items())
        return {"found": any(job["status"] in states for job in found)}

    async def list_entries_all(self, status: str | None) -> list[dict[str, Any]]:
        return [
            {**job, "error": self.failures.get(number, (0, None))[1], "words": job["args"]["words"]}
            for number, job in self.jobs.items()
            if status in (None, job["status"])
        ]

    async def revive_all(self, job_id: int) -> list[dict[str, Any]]:
        job = self.jobs.get(job_id)
        if job is None or job["status"] != "failed":
            return []
        self.failures.pop(job_id, None)
        job |= {"status": "todo", "attempts": 0, "scheduled_at": None, "worker_id": None}
        return [{"id": job_id}]

    async def take_over_all(self, error: str, **_: object) -> list[dict[str, Any]]:
        found = [job for job in self.jobs.values() if job["status"] == "doing" and job["worker_id"] is None]
        for job in found:
            await self.keep_failure_one(job["id"], error)
            job |= {"status": "todo", "attempts": job["attempts"] + 1}
        return found

    async def requeue_all(self, job_id: int, worker_id: int) -> list[dict[str, Any]]:
        raise ConnectorException(f"job {job_id} of worker {worker_id} has ended: nothing fails in memory")

    async def bring_forward_all(self, most_seconds: float) -> list[dict[str, Any]]:
        latest = now() + timedelta(seconds=most_seconds)
        late = [job for job in self.jobs.values() if job["scheduled_at"] is not None and job["scheduled_at"] > latest]
        for job in late:
            job["scheduled_at"] = None
        return late

    async def erase_run(self, job_id: int, lock: str) -> None:
        await self._drop(lambda job: (job["id"], job["lock"]) == (job_id, lock) and job["status"] != "doing")

    async def are_idle_one(self, queues: list[str]) -> dict[str, Any]:
        due = [job for job in self.jobs.values() if job["scheduled_at"] is None or job["scheduled_at"] <= now()]
        states = {job["status"] for job in due if job["queue_name"] in queues}
        return {"found": "todo" in states and "doing" not in states}

    async def sweep_away_run(self) -> None:
        await self._drop(lambda job: job["status"] in ("aborted", "cancelled"))

    async def count_jobs_status_all(self) -> list[dict[str, Any]]:
        states = [job["status"] for job in self.jobs.values()]
        return [{"status": state, "count": states.count(state)} for state in sorted(set(states))]

    async def _drop(self, fits: Callable[[dict[str, Any]], bool]) -> None:
        for number in [number for number, job in self.jobs.items() if fits(job)]:
            del self.jobs[number]


class MemoryStand(Stand):
    is_durable = False

    def __init__(self) -> None:
        self._connector = _Remembering()

    @asynccontextmanager
    async def open_place(self) -> AsyncIterator[Place]:
        await self._connector.open_async()  # it takes note of the loop
        yield Place(self._connector, is_shared=False, poll_seconds=0.05)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this process."""
    programs = find_programs()
    if programs is None:
        pytest.skip(MISSING)
    with running_server(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    """Return each place in turn, empty."""
    if request.param == "memory":
        return MemoryStand()
    if request.param == "sqlite":
        return LocationStand(tmp_path / "tasks.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return LocationStand(await prepared_database(server))


WORDS = "the person's own words \0 \ud800"
