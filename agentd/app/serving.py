"""Runs the daemon: builds its parts, nests their lifetimes, and so fixes the order of a start and of a shutdown.

Workspace, connections, state, store, provider, memory, tasks, router, channels: each lives inside the one before.
Leaving them backwards is the shutdown: intake stops, turns end or stay pending on disk, jobs end or are parked there,
files close.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial

import structlog

from agentd.admission.gate import Gate, GateWiring
from agentd.app.controls import Controls, build_handlers
from agentd.app.models import say_progress
from agentd.app.overseeing import Oversight
from agentd.app.parts import Around, Edges, Parts, new_id, open_parts
from agentd.app.reloading import CONSOLE, Changeable, Reloader, read_allow_lists
from agentd.app.shutdown_deadlines import Stop
from agentd.conversation.commands import ARGUMENTS, COMMANDS
from agentd.delivery.telling import Teller
from agentd.errors import ConfigError
from agentd.service.control import open_control
from agentd.service.figures import Figures, open_figures
from agentd.service.workspace import hold_workspace
from agentd.settings import Settings
from agentd.transcript.clock import Clock
from channels.base import Accept, Channel
from channels.errors import ChannelUnavailable
from channels.settings import ChannelsSettings
from channels.tools import Tools

__all__ = ["Edges", "serve"]

RECOVERY_SECONDS = 10
"""How long new messages wait for recovery: a model that hangs must not keep everybody waiting."""

log = structlog.get_logger()


REAL = Edges()


async def serve(settings: Settings, channel_names: tuple[str, ...], edges: Edges = REAL) -> None:
    """Run the daemon until its channels end, or SIGTERM or SIGINT asks it to stop.

    After a second signal it does not wait for running turns. Raises ConfigError and WorkspaceBusy before anything is
    read or sent.
    """
    stop = Stop(settings.service.drain_seconds)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    channels = _build_channels(channel_names, settings.channels_config, edges)
    oversight = Oversight(channels, edges, stop)
    loop.add_signal_handler(signal.SIGHUP, oversight.ask_reload)
    listen = settings.service.metrics_listen
    with hold_workspace(settings.workspace), open_figures(listen, oversight.probes) as figures:
        oversight.measure(figures)
        log.info("daemon_started", workspace=str(settings.workspace), channels=list(channels))
        await oversight.until_stopped(
            _live(settings, channels, edges, Around(stop, figures, oversight.task_gauges), oversight)
        )
    log.info("daemon_stopped")


async def _live(
    settings: Settings, channels: Mapping[str, Channel], edges: Edges, around: Around, oversight: Oversight
) -> None:
    """Nest the lifetimes; cancelling this is the shutdown."""
    async with open_parts(settings, channels, edges, around) as parts:
        oversight.meet(parts)
        teller = Teller(parts.front, new_id)
        gate = _build_gate(settings, parts, teller, around.figures)
        if edges.load is not None:
            changeable = Changeable(gate, parts.spending, parts.models, edges.configure_log)
            oversight.take_reloader(Reloader(settings, edges.load, changeable))
        control = open_control(settings.workspace, build_handlers(_controls(parts, teller, edges.clock, oversight)))
        try:
            await _converse(parts, gate.accept, control, oversight)
        finally:
            log.info("daemon_stopping")


def _controls(parts: Parts, teller: Teller, clock: Clock, oversight: Oversight) -> Controls:
    return Controls(
        state=parts.state,
        front=parts.front,
        store=parts.store,
        models=parts.models,
        remembering=parts.remembering,
        router=parts.router,
        spending=parts.spending,
        tell=teller.tell,
        clock=clock,
        oversight=oversight,
    )


def _build_gate(settings: Settings, parts: Parts, teller: Teller, figures: Figures) -> Gate:
    return Gate(
        GateWiring(
            settings=settings.gate,
            allowed=read_allow_lists(settings.channels_config),
            unlimited=CONSOLE,
            pairings=parts.state.pairings,
            forward=parts.router.accept,
            tell=teller.tell,
            count=figures.count_message,
            monotonic=time.monotonic,
        )
    )


async def _converse(
    parts: Parts, accept: Accept, control: AbstractAsyncContextManager[None], oversight: Oversight
) -> None:
    """Recover, with the channels off for 10 s at most; then run every channel."""
    async with control, asyncio.TaskGroup() as tasks:
        recovering = tasks.create_task(parts.router.recover(say_progress), name="recovery")
        await asyncio.wait([recovering], timeout=RECOVERY_SECONDS)
        log.info("channels_receiving", channels=list(parts.front.channels), recovered=recovering.done())
        oversight.reporter.receive()
        for channel in parts.front.channels.values():
            places = partial(parts.router.places, channel.name)
            tasks.create_task(oversight.supervisor.keep(channel.name, accept, places), name=f"channel {channel.name}")
        await parts.router.finish(await recovering)
        await parts.router.learn_missed()
        if not parts.remembering.is_lacking:
            await parts.store.keep_marks()


def _build_channels(names: Sequence[str], settings: ChannelsSettings, edges: Edges) -> Mapping[str, Channel]:
    try:
        return edges.build_channels(names, settings, Tools(new_id, time.monotonic, COMMANDS, ARGUMENTS))
    except ChannelUnavailable as fault:
        raise ConfigError(str(fault)) from fault
