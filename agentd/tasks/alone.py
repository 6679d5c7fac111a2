"""Runs background tasks in a process of its own (`agentd worker`), beside one or several daemons on any machine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog

from agentd.tasks.queue import Leaving

__all__ = ["work_alone"]

END_SHARE, MOST_END_SECONDS = 0.3, 6.0
"""The share of the time that running jobs do not get, and its upper bound: parking them takes time too."""

log = structlog.get_logger()


async def work_alone(open_work: Callable[[Leaving], AbstractAsyncContextManager[object]], drain_seconds: float) -> None:
    """Do tasks until SIGTERM or SIGINT; running jobs may then end within the time, or until a second signal.

    Raises what opening the work raises.
    """
    stop, insisted = asyncio.Event(), asyncio.Event()

    def ask() -> None:
        (insisted if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ask)
    end_seconds = min(END_SHARE * drain_seconds, MOST_END_SECONDS)
    async with open_work(Leaving(lambda: drain_seconds - end_seconds, insisted.wait, lambda: end_seconds)):
        log.info("worker_started")
        await stop.wait()
        log.info("worker_stopping")
    log.info("worker_stopped")
