"""The task queue over procrastinate's `App`: adds, lists, retries and erases tasks; runs none."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from procrastinate import App
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from agentd.errors import AgentdError
from agentd.tasks import own_queries
from agentd.tasks.faults import unusable
from agentd.tasks.places import Place
from agentd.tasks.queue import DEAD, MOST_DELAY_SECONDS, Cleared, Entry, Order, Spare, spare_none

__all__ = ["MOST_SECONDS", "Ledger"]

MOST_SECONDS = 60
"""Time limit of one call, which bridges a short outage of the database."""

ERASE_SECONDS = 10
"""How long to wait for running tasks whose words are to be erased."""
ERASE_STEP_SECONDS = 0.1

_NAME = re.compile("[a-z0-9_]{1,40}")
"""PostgreSQL cuts the names of notification channels at 63 bytes; procrastinate puts 23 before a queue's."""


class Ledger:
    """Keeps tasks in a database; a `TaskQueue`."""

    def __init__(self, app: App, place: Place, now: Callable[[], datetime], gone_seconds: float | None = None) -> None:
        """Use an open database; `gone_seconds` is after how long a silent worker counts as dead.

        None: the workshop that runs tasks here takes care of that.
        """
        self._app = app
        self._place = place
        self._now = now
        self._gone_seconds = gone_seconds

    async def defer(self, order: Order) -> bool:
        """Store a task, durably; return False if one with the same `once` waits, or the same task is known already."""
        if not _NAME.fullmatch(order.task):
            raise ValueError(f"{order.task} is no name for a task")
        if order.delay_seconds > MOST_DELAY_SECONDS:
            raise ValueError(f"{order.task} is to wait for {order.delay_seconds:.0f} s, which is too long")
        due = self._now() + timedelta(seconds=order.delay_seconds) if order.delay_seconds > 0 else None
        deferrer = self._app.configure_task(
            order.task, queue=order.task, lock=order.session, queueing_lock=order.once, schedule_at=due
        )
        words = json.dumps(
            dict(order.args)
        )  # PostgreSQL's JSON has no NUL and no lone surrogate, and people's words may
        try:
            async with _translated():
                if order.once is not None and await self._is_known(order, words):
                    return False
                await deferrer.defer_async(words=words)
        except AlreadyEnqueued:
            return False
        return True

    async def _is_known(self, order: Order, words: str) -> bool:
        row = await self._place.connector.execute_query_one_async(
            own_queries.IS_KNOWN, task_name=order.task, lock=order.session, words=words
        )
        return bool(row["found"])

    async def entries(self, *, dead: bool = False) -> list[Entry]:
        """Return all tasks, or only the dead ones, oldest first."""
        return [entry for entry, _ in await self._listed(DEAD if dead else None)]

    async def about(self, session: str, seq: int) -> list[Entry]:
        """Return a session's tasks whose words say that they are about this message."""
        listed = await self._listed(None)
        return [entry for entry, words in listed if entry.session == session and _is_about(seq, words)]

    async def _listed(self, status: str | None) -> list[tuple[Entry, str | None]]:
        async with _translated():
            rows = await self._place.connector.execute_query_all_async(own_queries.LIST_ENTRIES, status=status)
        return [
            (
                Entry(row["id"], row["task_name"], row["lock"], row["status"], row["attempts"], row["error"]),
                row["words"],
            )
            for row in rows
        ]

    async def retry(self, number: int) -> None:
        """Queue a dead task again. Raises AgentdError if there is none of this number."""
        async with _translated():
            rows = await self._place.connector.execute_query_all_async(own_queries.REVIVE, job_id=number)
        if not rows:
            raise AgentdError(f"there is no dead task {number}: agentd tasks dead shows them")

    async def erase(self, session: str, spare: Spare = spare_none) -> Cleared:
        """Remove a session's tasks and their words; what is to be kept of one is queued as a new task first."""
        until = asyncio.get_running_loop().time() + ERASE_SECONDS
        async with _translated():
            doomed = await self._doomed(session, spare)
            await self._put_back(doomed)
            while left := await self._remove(session, doomed):
                if asyncio.get_running_loop().time() > until:
                    break
                await asyncio.sleep(ERASE_STEP_SECONDS)
            await self._place.scrub()
        return Cleared(len(doomed), left)

    async def _doomed(self, session: str, spare: Spare) -> list[int]:
        """Return the tasks to remove. If only some of a task's words are to stay, a new task with those is
        queued here.
        """
        doomed = []
        for job in await self._app.job_manager.list_jobs_async(lock=session):
            args = json.loads(str(job.task_kwargs["words"]))
            stays = spare(job.task_name, args)
            if stays == args or job.id is None:
                continue
            doomed.append(job.id)
            if stays is not None:
                await self.defer(Order(job.task_name, stays, session))
        return doomed

    async def _put_back(self, numbers: Collection[int]) -> None:
        """Put back the tasks of dead workers among these: nobody else would, and they would never end."""
        if self._gone_seconds is None:
            return
        for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._gone_seconds):
            if job.id in numbers:
                await self._place.connector.execute_query_all_async(
                    own_queries.REQUEUE, job_id=job.id, worker_id=job.worker_id
                )

    async def _remove(self, session: str, doomed: Collection[int]) -> int:
        """Remove tasks that do not run, and abort those that do; return how many run."""
        jobs = self._app.job_manager
        running = [job for job in await jobs.list_jobs_async(lock=session, status="doing") if job.id in doomed]
        for job in running:
            if job.id is not None and not job.abort_requested:
                await jobs.cancel_job_by_id_async(job.id, abort=True)
        for number in doomed:
            await self._place.connector.execute_query_async(own_queries.ERASE, job_id=number, lock=session)
        return len(running)


def _is_about(seq: int, words: str | None) -> bool:
    """Tell whether a task's words name a range of messages that includes this one."""
    try:
        told: object = json.loads(words or "null")
    except ValueError:
        return False
    match told:
        case {"first": int(first), "last": int(last)}:
            return first <= seq <= last
        case _:
            return False


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Limit the time of a database call, and raise StorageError if it fails."""
    try:
        async with asyncio.timeout(MOST_SECONDS):
            yield
    except (ConnectorException, TimeoutError) as fault:
        raise unusable(fault) from fault
