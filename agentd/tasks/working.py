"""Runs tasks with procrastinate's worker, restarts it after a fault, and covers what it does not handle.

Three things that procrastinate leaves open are handled here. Its worker sends no heartbeat any more once it lost its
database, so `_sweep` sends it. A job whose end could not be recorded would count as running for ever: it is put back.
The jobs of a dead worker are taken over.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from procrastinate import App, sql
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.job_context import AbortReason, JobContext
from procrastinate.jobs import DeleteJobCondition
from procrastinate.jobs import Job as Record
from procrastinate.worker import Worker

from agentd.tasks import own_queries
from agentd.tasks.faults import describe
from agentd.tasks.places import Place
from agentd.tasks.queue import DEAD, MOST_DELAY_SECONDS, Gauges, Job, Leaving, TaskPostponed
from agentd.tasks.timing import EVER_SECONDS, JobFailed, QueueTiming, RetryStrategy

__all__ = ["Workshop"]

LET_GO_SECONDS = 0.2
MOST_WAITS = 5
"""A cancellation ends one of the worker's waits, each 30 s if its database is away: for its loop, for tasks in it, for
its side tasks, for its jobs, and for its sign-off.
"""

GONE = "its worker ended before it did"

log = structlog.get_logger()


class Workshop:
    """Runs the jobs of one process."""

    def __init__(
        self,
        app: App,
        place: Place,
        jobs: Mapping[str, Job],
        limits: tuple[int, int],
        gauges: Gauges,
        timing: QueueTiming,
    ) -> None:
        """Register these jobs; `limits` are how many may run at once, and how often each is tried."""
        self._app = app
        self._place = place
        self._queues = list(jobs)
        self._concurrency, self._max_attempts = limits
        self._gauges = gauges
        self._timing = timing
        self._worker: Worker | None = None
        self._running: dict[int, asyncio.Task[object]] = {}
        self._holding: dict[asyncio.Task[object], int] = {}
        self._suspects: frozenset[tuple[int, int | None, int]] = frozenset()
        self._states: frozenset[str] = frozenset()
        self._is_closing = False
        self._is_cut = False
        strategy = RetryStrategy(self._max_attempts, timing.pause_seconds)
        for name, job in jobs.items():
            app.task(name=name, queue=name, retry=strategy)(_as_function(job))

    async def begin(self) -> None:
        """Put back what an earlier process was running, if no other process can have it. Raises ConnectorException."""
        if not self._place.is_shared:
            await self._take_over(EVER_SECONDS)
            await self._app.job_manager.prune_stalled_workers(EVER_SECONDS)

    async def run(self) -> None:
        """Take and run tasks until `close`; after a fault of the database, try again with backoff."""
        tries = 0
        while not self._is_closing:
            worker = self._worker = self._hire()
            began = time.monotonic()
            try:
                await worker.run()  # type: ignore[no-untyped-call]
                tries = 0
            except ConnectorException as fault:
                tries = 0 if time.monotonic() - began > self._timing.restart.last_seconds else tries + 1
                pause = self._timing.restart.after(tries)
                log.warning("tasks_interrupted", fault=str(fault.__cause__ or fault), again_after_seconds=pause)
                self._worker = None
                await asyncio.sleep(pause)

    async def close(self, running: asyncio.Task[None], leaving: Leaving, cut: asyncio.Task[object] | None) -> None:
        """Let jobs end within that time, or until `cut` is done; park the others."""
        self._is_closing = True
        if self._worker is None:
            running.cancel()
        else:
            self._worker.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait(
            {running, *([cut] if cut else [])}, timeout=leaving.rest_seconds(), return_when="FIRST_COMPLETED"
        )
        self._is_cut = True
        for task in self._running.values():
            task.cancel()
        park_seconds = max(leaving.park_seconds() - MOST_WAITS * LET_GO_SECONDS, LET_GO_SECONDS)
        await asyncio.wait({running}, timeout=min(self._timing.park_seconds, park_seconds))
        for _ in range(MOST_WAITS):
            if running.done():
                return
            running.cancel()
            await asyncio.wait({running}, timeout=LET_GO_SECONDS)

    async def sweep(self) -> None:
        """Every few seconds: heartbeat, take-over, put-back and counts, until cancelled."""
        is_down = False
        while True:
            is_idle = False
            try:
                await self._sweep()
                is_idle = await self._is_idle()
                if is_down and self._worker is not None and not self._is_closing:
                    # Its side tasks may have ended with the connection, so it is replaced.
                    self._worker.stop()  # type: ignore[no-untyped-call]
                is_down = False
            except ConnectorException as fault:
                if not is_down:
                    log.warning("tasks_unreachable", fault=str(fault.__cause__ or fault))
                is_down = True
            self._gauges.swept(is_idle)
            await asyncio.sleep(self._timing.sweep_seconds)

    def _hire(self) -> Worker:
        return Worker(
            app=self._app,
            queues=self._queues,
            concurrency=self._concurrency,
            fetch_job_polling_interval=self._timing.poll_seconds or self._place.poll_seconds,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
            update_heartbeat_interval=86_400,  # its own ends silently with the first fault
            stalled_worker_timeout=self._timing.stale_seconds,
            worker_middleware=[self._do],
        )

    async def _do(self, call: Callable[[], Awaitable[object]], context: JobContext, worker: Worker) -> None:
        """Run one attempt of a job; the job's bugs do not cross this boundary."""
        del worker
        job, began = context.job, time.monotonic()
        number, task = job.id or 0, asyncio.current_task()
        if task is not None:
            self._running[number] = self._hold(task, number)
            if self._is_cut:  # fetched before the cut, started after it
                task.cancel()
        try:
            await asyncio.sleep(0)  # lets the cancel above take effect
            if job.queueing_lock is not None:
                await self._place.connector.execute_query_async(own_queries.FREE_QUEUEING_LOCK, job_id=number)
            async with asyncio.timeout(self._timing.job_seconds):
                await call()
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.USER_REQUEST:
                raise JobAborted from None
            log.info("task_parked", task=job.task_name, id=number)
            raise
        except TaskPostponed as pause:
            log.info("task_postponed", task=job.task_name, id=number, again_after_seconds=round(pause.seconds))
            raise
        except Exception as fault:  # noqa: BLE001 - the boundary of a job
            raise JobFailed(await self._note(job, describe(fault))) from None
        finally:
            self._running.pop(number, None)
            self._gauges.observe_seconds(job.task_name, time.monotonic() - began)

    def _hold(self, task: asyncio.Task[object], number: int) -> asyncio.Task[object]:
        """Count a job as held by this process until the engine has recorded how the attempt ended, or failed to."""
        self._holding[task] = number
        task.add_done_callback(self._holding.pop)
        task.add_done_callback(_look_at_end)
        return task

    async def _note(self, job: Record, error: str) -> int:
        """Record why an attempt failed; return the number of failures."""
        failures = job.attempts + 1
        try:
            row = await self._place.connector.execute_query_one_async(
                own_queries.KEEP_FAILURE, job_id=job.id, error=error
            )
            failures = int(row["failures"])
        except ConnectorException as fault:
            log.warning("tasks_unreachable", fault=str(fault.__cause__ or fault))
        event = "task_failed" if failures < self._max_attempts else "task_dead"
        log.warning(event, task=job.task_name, id=job.id, session=job.lock, failures=failures, error=error)
        return failures

    async def _sweep(self) -> None:
        manager, worker = self._app.job_manager, self._worker
        if self._place.is_shared:
            if worker is not None and worker.worker_id is not None:
                await manager.update_heartbeat(worker.worker_id)
            await self._take_over(self._timing.stale_seconds)
        await self._put_back(worker.worker_id if worker is not None else None)
        await self._bring_forward()
        await self._place.connector.execute_query_async(own_queries.SWEEP_AWAY)
        await self._count()

    async def _take_over(self, seconds: float) -> None:
        rows = await self._place.connector.execute_query_all_async(
            own_queries.TAKE_OVER,
            queues=self._queues,
            seconds_since_heartbeat=seconds,
            max_attempts=self._max_attempts,
            error=GONE,
        )
        for row in rows:
            log.warning("task_dead" if row["status"] == DEAD else "task_taken_over", id=row["id"], error=GONE)

    async def _put_back(self, worker_id: int | None) -> None:
        """Put back what this process holds but does not run, if the last look found the same attempt like that too.

        On a shared database that is what its present worker holds; what an earlier one held is taken over when stale.
        """
        held = await self._app.job_manager.list_jobs_async(status="doing")
        idle = frozenset(
            (job.id, job.worker_id, job.attempts)
            for job in held
            if job.id is not None
            and job.id not in self._holding.values()
            and (not self._place.is_shared or job.worker_id == worker_id)
        )
        for number, holder, _ in idle & self._suspects:
            await self._place.connector.execute_query_all_async(own_queries.REQUEUE, job_id=number, worker_id=holder)
            log.warning("task_put_back", id=number, reason="how it ended could not be written down")
        self._suspects = idle - self._suspects

    async def _bring_forward(self) -> None:
        """Let go what rests for longer than anything does: it was put off before the clock was set back."""
        rows = await self._place.connector.execute_query_all_async(
            own_queries.BRING_FORWARD, most_seconds=MOST_DELAY_SECONDS
        )
        for row in rows:
            log.warning("task_brought_forward", id=row["id"], reason="the clock was set back since it was put off")

    async def _is_idle(self) -> bool:
        """Tell whether a task could run here, while none runs anywhere."""
        if self._worker is None or self._running or self._is_closing:
            return False
        row = await self._place.connector.execute_query_one_async(own_queries.ARE_IDLE, queues=self._queues)
        return bool(row["found"])

    async def _count(self) -> None:
        rows = await self._place.connector.execute_query_all_async(sql.queries["count_jobs_status"])
        counts = {str(row["status"]): int(row["count"]) for row in rows}
        self._states |= counts.keys()
        for state in self._states:
            self._gauges.set_count(state, counts.get(state, 0))


def _look_at_end(task: asyncio.Task[object]) -> None:
    """Log that a job's end was not recorded; otherwise asyncio would log it at some garbage collection."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.warning("task_end_not_kept", fault=str(fault.__cause__ or fault))


def _as_function(job: Job) -> Callable[..., Awaitable[None]]:
    async def run(words: str) -> None:
        await job(json.loads(words))

    return run
