"""Stands beside the daemon's parts while they live: feels the loop's pulse, and tells the supervisor how things go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping

import structlog

from agentd.app.parts import Edges, Parts
from agentd.app.stopping import Stop
from agentd.app.supervising import Supervisor
from agentd.service.beating import Pulse, beat
from agentd.service.reporting import Reporter, Scene
from channels.base import Channel

__all__ = ["Oversight"]

log = structlog.get_logger()


class Oversight:
    """Knows the daemon as a whole, from its first moment to its last."""

    def __init__(self, channels: Mapping[str, Channel], edges: Edges, stop: Stop, drain_seconds: float) -> None:
        """Begin with a daemon that starts."""
        self.supervisor = Supervisor(channels)
        self.reporter = Reporter(edges.notifier, time.monotonic, edges.paces.contact_seconds)
        self._pulse = Pulse(time.monotonic)
        self._paces = edges.paces
        self._stop = stop
        self._drain_seconds = drain_seconds

    def meet(self, parts: Parts) -> None:
        """Take in that the parts are there."""
        self.reporter.show(Scene(self.supervisor.lines, parts.router.count, parts.router.count_running))

    async def until_stopped(self, work: Coroutine[None, None, None]) -> None:
        """Await `work`, or cancel it once a signal asks for that; oversee it to its end."""
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work, name="channels")
            watching = tasks.create_task(self._cancel_when_asked(working), name="signals")
            beating = tasks.create_task(beat(self._pulse, self._paces.beat_seconds, self._step), name="pulse")
            await asyncio.wait([working])
            watching.cancel()
            beating.cancel()

    async def _cancel_when_asked(self, task: asyncio.Task[None]) -> None:
        await self._stop.requested.wait()
        log.info("stop_requested")
        self.reporter.stop(time.monotonic() + self._drain_seconds)
        task.cancel()

    def _step(self) -> None:
        self.reporter.step()
