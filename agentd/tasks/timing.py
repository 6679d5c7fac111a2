"""The time limits and polling intervals of the queue, and when a failed attempt is retried or the task is dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from agentd.tasks.backoff import pause_seconds
from agentd.tasks.queue import TaskPostponed
from channels.backoff import Growing

__all__ = ["EVER_SECONDS", "JobFailed", "QueueTiming", "RetryStrategy"]

EVER_SECONDS = -100 * 365 * 86_400
"""An age that every worker has, whatever the clock did while the daemon was down."""


@dataclass(frozen=True, slots=True)
class QueueTiming:
    """How often the queue polls, and how long it waits."""

    sweep_seconds: float = 10
    poll_seconds: float | None = None
    """How often to poll for tasks that were not announced; None: the database's usual interval."""
    stale_seconds: float = 45
    """How long a worker may be silent before its jobs are taken over; on a shared database only."""
    job_seconds: float = 900
    """Time limit of one attempt: a job that hangs would keep its session's tasks waiting for ever."""
    park_seconds: float = 5
    """How long a job that is cut at a shutdown may take to end, and the database to take it back."""
    restart: Growing = field(default=Growing(1, 30))
    pause_seconds: Callable[[int], float] = pause_seconds


class JobFailed(Exception):
    """A failed attempt, with the number of failures so far, and without the reason."""

    def __init__(self, failures: int) -> None:
        """Set the number of failures."""
        super().__init__(f"failed {failures} times")
        self.failures = failures


class RetryStrategy(BaseRetryStrategy):
    """Decides whether and when an unsuccessful attempt is retried (procrastinate's retry strategy)."""

    def __init__(self, max_attempts: int, pause: Callable[[int], float]) -> None:
        """Give up after so many failures."""
        self._max_attempts = max_attempts
        self._pause = pause

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to retry; None: never (the task is dead). A shutdown's cut is no failure."""
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=datetime.now(UTC))
        if isinstance(exception, TaskPostponed):
            return RetryDecision(retry_in={"milliseconds": round(1000 * exception.seconds)})
        failures = exception.failures if isinstance(exception, JobFailed) else job.attempts + 1
        if failures >= self._max_attempts:
            return None
        return RetryDecision(retry_in={"milliseconds": round(1000 * self._pause(failures))})
