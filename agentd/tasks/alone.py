"""`agentd worker`: background tasks alone, on this or another machine, beside a daemon or several."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping

import structlog
from pydantic import SecretStr

from agentd.tasks.opening import Surroundings, open_tasks
from agentd.tasks.queue import Gauges, Job, Leaving
from agentd.tasks.settings import TasksSettings
from agentd.transcript.clock import utc_now

__all__ = ["work_alone"]

log = structlog.get_logger()


async def work_alone(
    url: SecretStr, settings: TasksSettings, jobs: Mapping[str, Job], drain_seconds: float, gauges: Gauges
) -> None:
    """Do tasks until SIGTERM or SIGINT; running jobs may then end in that time, or until a second signal.

    Raises ConfigError, and StorageError.
    """
    stop, insisted = asyncio.Event(), asyncio.Event()

    def ask() -> None:
        (insisted if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ask)
    around = Surroundings(utc_now, Leaving(lambda: drain_seconds, insisted.wait), gauges)
    async with open_tasks(url, settings, jobs, around):
        log.info("worker_started", tasks=sorted(jobs))
        await stop.wait()
        log.info("worker_stopping")
    log.info("worker_stopped")
