"""Runs beside the daemon's parts: at each beat feeds systemd's watchdog, status and metrics; handles stop and reload
signals.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from math import inf

import structlog

from agentd.app.parts import Edges, Parts
from agentd.app.reloading import Reloader
from agentd.app.shutdown_deadlines import Stop
from agentd.app.supervising import Supervisor
from agentd.service.beating import Pulse, beat
from agentd.service.figures import Figures
from agentd.service.probing import Probe, Probed
from agentd.service.reporting import Reporter, Scene, Stage
from agentd.service.stacks import LIMIT_SECONDS, watch_stacks
from agentd.service.status import ChannelStatus
from agentd.service.vitals import QueueSign, Signs, Vitals
from agentd.service.watchdog import SHARE, Watchdog
from agentd.tasks.queue import Gauges as TaskGauges
from channels.base import Channel

__all__ = ["Oversight"]

log = structlog.get_logger()


class Oversight:
    """Watches over the daemon from its start to its end."""

    def __init__(self, channels: Mapping[str, Channel], edges: Edges, stop: Stop) -> None:
        """Begin in the stage of starting."""
        self.reporter = Reporter(edges.notifier, time.monotonic, edges.intervals.contact_seconds)
        self.supervisor = Supervisor(
            channels, edges.intervals.restart_policy, lambda: self.reporter.stage is Stage.STARTING, self._count_restart
        )
        self._pulse = Pulse(time.monotonic)
        self.vitals = Vitals(self._pulse, edges.intervals.limits)
        self.queue = QueueSign(time.monotonic)
        self._tasks: dict[str, int] = {}
        self._figures = Figures()
        self._count_busy: Callable[[], int] = lambda: 0
        self._count: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._watchdog = Watchdog(edges.notifier, self.vitals, time.monotonic)
        self._stacks_seconds = (edges.notifier.watchdog_seconds or 2 * LIMIT_SECONDS) / 2
        self._beat_seconds = min(edges.intervals.beat_seconds, (edges.notifier.watchdog_seconds or inf) / SHARE)
        self._stop = stop
        self._burn = edges.burn
        self._reload_asked = asyncio.Event()
        self._reloader: asyncio.Future[Reloader] = asyncio.get_running_loop().create_future()

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Return the answers to a monitor's requests, by path."""
        return {"/healthz": self._is_alive, "/readyz": self.reporter.probe}

    def measure(self, figures: Figures) -> None:
        """Send figures there from now on."""
        self._figures = figures

    def _is_alive(self) -> Probed:
        faults = self.vitals.faults()
        return Probed(not faults, "stuck" if faults else "alive", faults)

    def _count_restart(self, channel: str) -> None:
        self._figures.count_restart(channel)

    def meet(self, parts: Parts) -> None:
        """Begin to report on the parts, now that they exist."""
        self._count_busy = parts.router.count_busy
        self._count = parts.router.count
        self.reporter.show(Scene(self.supervisor.lines, parts.router.count, parts.router.count_running))
        self.vitals.signs = Signs(self.supervisor.stuck, lambda: parts.store.busy_seconds, self.queue)

    def stage(self) -> str:
        """Return the daemon's stage (starting, ready, ...)."""
        return self.reporter.stage.value

    def tasks(self) -> dict[str, int]:
        """Return how many background tasks there are, by state; states without any are left out."""
        return {state: count for state, count in self._tasks.items() if count}

    def look_at_channels(self) -> list[ChannelStatus]:
        """Return the status of each channel."""
        return self.supervisor.statuses()

    @property
    def task_gauges(self) -> TaskGauges:
        """Return the callbacks by which the queue reports."""
        return TaskGauges(self._figures.observe_task, self._set_tasks, self.queue.swept)

    def _set_tasks(self, state: str, count: int) -> None:
        self._tasks[state] = count
        self._figures.set_tasks(state, count)

    def ask_reload(self) -> None:
        """Ask for a reload (SIGHUP)."""
        self._reload_asked.set()

    def take_reloader(self, reloader: Reloader) -> None:
        """Use this reloader from now on; may be called once."""
        self._reloader.set_result(reloader)

    async def _reload_when_asked(self) -> None:
        reloader = await self._reloader
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            self.reporter.reload()
            try:
                await reloader.reload()
            except Exception as fault:
                log.error("reload_failed", exc_info=fault)
            self.reporter.reloaded()

    async def until_stopped(self, work: Coroutine[None, None, None]) -> None:
        """Await `work`, or cancel it once a signal asks for that; oversee it until it has ended."""
        with watch_stacks(self._pulse, self._stacks_seconds):
            await self._oversee(work)

    async def _oversee(self, work: Coroutine[None, None, None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work, name="channels")
            watching = tasks.create_task(self._cancel_when_asked(working), name="signals")
            beating = tasks.create_task(beat(self._pulse, self._beat_seconds, self._step), name="pulse")
            reloading = tasks.create_task(self._reload_when_asked(), name="reload")
            await asyncio.wait([working])
            reloading.cancel()
            watching.cancel()
            beating.cancel()

    async def _cancel_when_asked(self, task: asyncio.Task[None]) -> None:
        await self._stop.requested.wait()
        log.info("stop_requested")
        self._burn(self._stop.drain_seconds)
        self.vitals.signs = Signs()  # what ends now makes no progress any more, and need not
        self.reporter.stop(self._stop.until)
        task.cancel()
        await self._stop.insistence()
        log.info("stop_insisted")
        self._burn(self._stop.until - time.monotonic())

    def _step(self) -> None:
        self._watchdog.step()
        self.reporter.step()
        self._show_figures()

    def _show_figures(self) -> None:
        figures, busy = self._figures, self._count_busy()
        sessions, waiting = self._count()
        figures.show_lag(self._pulse.lag_seconds)
        figures.show_sessions("busy", busy)
        figures.show_sessions("idle", sessions - busy)
        figures.show_mailbox(waiting)
        for channel, seconds in self.supervisor.contacts():
            figures.show_contact(channel, seconds)
