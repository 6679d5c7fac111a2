"""How often the queue looks and how long it waits, and what it tells the engine to do with an attempt that failed."""

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

__all__ = ["JobFailed", "QueueTiming", "RetryStrategy"]


@dataclass(frozen=True, slots=True)
class QueueTiming:
    """How often is looked, and how long is waited."""

    sweep_seconds: float = 10
    poll_seconds: float | None = None
    """How often is looked for tasks that nobody told of; as the place wants it where there is none."""
    stale_seconds: float = 45
    """How long a worker may be silent until its jobs are taken over; on a shared place only."""
    job_seconds: float = 900
    """How long one attempt may take: a job that hangs would keep its session's tasks waiting for ever."""
    park_seconds: float = 5
    """How long a job that is cut at a shutdown may take to let go, and its place to take it back."""
    restart: Growing = field(default=Growing(1, 30))
    pause_seconds: Callable[[int], float] = pause_seconds


class JobFailed(Exception):
    """An attempt that failed, for so many times by now; without the words of why."""

    def __init__(self, failures: int) -> None:
        """Say only how often."""
        super().__init__(f"failed {failures} times")
        self.failures = failures


class RetryStrategy(BaseRetryStrategy):
    """Decides what becomes of an attempt that did not succeed."""

    def __init__(self, max_attempts: int, pause: Callable[[int], float]) -> None:
        """Give up after so many failures."""
        self._max_attempts = max_attempts
        self._pause = pause

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when it is tried again; None for never. What a shutdown cut is no failure."""
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=datetime.now(UTC))
        if isinstance(exception, TaskPostponed):
            return RetryDecision(retry_in={"milliseconds": round(1000 * exception.seconds)})
        failures = exception.failures if isinstance(exception, JobFailed) else job.attempts + 1
        if failures >= self._max_attempts:
            return None
        return RetryDecision(retry_in={"milliseconds": round(1000 * self._pause(failures))})
