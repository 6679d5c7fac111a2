"""Builds the parts and nests their lifetimes.

Workspace, connections, state, store, provider, memory, tasks, router, channels: each lives inside the one before.
Leaving them backwards is the shutdown: intake stops, turns end or stay pending on disk, jobs end or are parked there,
files close.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from agentd.admission.allowing import AllowList, parse_allowed
from agentd.admission.gate import Gate, GateWiring
from agentd.admission.spending import Spending
from agentd.app.controls import Controls, build_handlers
from agentd.app.models import Models, open_models, say_progress
from agentd.app.remembering import Background, Remembering, open_remembering
from agentd.context.calibration import Calibration, Learnt
from agentd.context.tokens import MOST_CHARACTERS_PER_TOKEN
from agentd.conversation.commands import ARGUMENTS, COMMANDS
from agentd.conversation.router import Drain, Router, open_router
from agentd.conversation.wiring import Wiring
from agentd.delivery.front import Front, build_front
from agentd.delivery.telling import Teller
from agentd.errors import ConfigError
from agentd.providers.base import Provider
from agentd.providers.precedence import Precedence
from agentd.service.control import open_control
from agentd.service.figures import Figures, open_figures
from agentd.service.saving import Save, save, save_regularly
from agentd.service.state import State, open_state
from agentd.service.workspace import hold_workspace
from agentd.settings import Settings
from agentd.tasks.asking import Account
from agentd.tasks.queue import Gauges as TaskGauges
from agentd.tasks.queue import Leaving
from agentd.transcript.clock import Clock, utc_now
from agentd.transcript.disk import Disk
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.marks import NO_MARKS
from agentd.transcript.store import Recall, SessionStore, open_store
from channels.base import Accept, Channel, Closing, Places
from channels.errors import ChannelUnavailable
from channels.registry import build_channels
from channels.settings import ChannelsSettings
from channels.tools import Tools

if TYPE_CHECKING:
    from agentd.tasks.pace import Pace

__all__ = ["Edges", "serve"]

CONSOLE = frozenset({"console"})
"""Whoever holds the daemon's own streams may say what they like, as fast as they like."""

RECOVERY_SECONDS = 10
"""How long new messages wait for what an earlier run left: a model that hangs must not keep everybody waiting."""

GRACE_SECONDS = 5.0
"""How long background tasks that run may take at the end: what is cut is kept, and costs one more call of the model."""

log = structlog.get_logger()


class Stop:
    """What the signals ask for: to end, and then to end at once."""

    def __init__(self) -> None:
        """Begin unasked."""
        self.requested = asyncio.Event()
        self.insisted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked_at = 0.0

    def ask(self) -> None:
        """Take one signal."""
        if self.requested.is_set() and not self.insisted.done():
            self.insisted.set_result(None)
        if not self.requested.is_set():
            self._asked_at = time.monotonic()
        self.requested.set()

    async def insistence(self) -> None:
        """Return once nothing is to be waited for any more."""
        await asyncio.wait([self.insisted])

    def rest_seconds(self, drain_seconds: float) -> float:
        """Return how long background tasks may still take."""
        spent = time.monotonic() - self._asked_at if self.requested.is_set() else 0.0
        return min(max(drain_seconds - spent, 0.0), GRACE_SECONDS)


@dataclass(frozen=True, slots=True)
class Edges:
    """Where the daemon meets the world; a test of the whole process puts its own there."""

    build_channels: Callable[[Sequence[str], ChannelsSettings, Tools], Mapping[str, Channel]] = build_channels
    wrap_disk: Callable[[Disk], Disk] = lambda disk: disk
    clock: Clock = utc_now
    pace: Pace | None = None
    """How often the queue looks, and how long it waits."""


REAL = Edges()


async def serve(settings: Settings, channel_names: tuple[str, ...], edges: Edges = REAL) -> None:
    """Run the daemon until its channels have no more to say, or SIGTERM or SIGINT asks it to end.

    Asked a second time, it ends without waiting for running turns. Raises ConfigError and WorkspaceBusy before
    anything is read or sent.
    """
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    loop.add_signal_handler(signal.SIGHUP, _refuse_reload)
    channels = _build_channels(channel_names, settings.channels_config, edges)
    with hold_workspace(settings.workspace), open_figures(settings.service.metrics_listen) as figures:
        log.info("daemon_started", workspace=str(settings.workspace), channels=list(channels))
        await _until(stop.requested, _live(settings, channels, edges, stop, figures))
    log.info("daemon_stopped")


@dataclass(frozen=True, slots=True)
class Parts:
    """What lives as long as the daemon does."""

    state: State
    front: Front
    store: SessionStore
    provider: Provider
    remembering: Remembering
    router: Router
    spending: Spending


@dataclass(frozen=True, slots=True)
class Counted:
    """What is learnt and counted beside the replies."""

    calibration: Calibration
    spending: Spending
    figures: Figures


async def _live(
    settings: Settings, channels: Mapping[str, Channel], edges: Edges, stop: Stop, figures: Figures
) -> None:
    """Nest the lifetimes; being cancelled anywhere in here is the shutdown."""
    async with _open_parts(settings, channels, edges, stop, figures) as parts:
        teller = Teller(parts.front, _new_id)
        gate = _build_gate(settings, parts, teller, figures)
        control = open_control(settings.workspace, build_handlers(_controls(parts, teller, edges.clock)))
        try:
            await _converse(parts, gate.accept, control)
        finally:
            log.info("daemon_stopping")


@asynccontextmanager
async def _open_parts(
    settings: Settings, channels: Mapping[str, Channel], edges: Edges, stop: Stop, figures: Figures
) -> AsyncIterator[Parts]:
    kept, drain = settings.channels_config, Drain(settings.service.drain_seconds, stop.insisted)
    async with _closing(channels), open_state(settings.workspace / "state.db", version("agentd"), edges.clock) as state:
        if channels.keys() - CONSOLE:
            state.require()
        front = build_front(channels, state.aliases, time.monotonic)
        counted = Counted(
            _calibrate(state, figures), Spending(settings.limits, state.usage.recent, edges.clock), figures
        )
        async with (
            open_store(
                settings.workspace / "sessions",
                edges.clock,
                wrap_disk=edges.wrap_disk,
                persistent=kept.session_persistence,
                recall=Recall(
                    settings.agent.max_context_tokens * MOST_CHARACTERS_PER_TOKEN,
                    state.marks if kept.session_persistence else NO_MARKS,
                ),
                observe=figures.observe_append,
            ) as store,
            open_models(settings.provider, figures) as models,
            save_regularly(_saves(state, counted)),
        ):
            wiring = _wire(settings, store, models, front, edges.clock, counted)
            precedence = Precedence(settings.agent.max_concurrent_turns, cuts=settings.provider.kind == "local")
            around = Background(
                provider=models.background,
                slots=wiring.background_slots,
                precedence=precedence,
                account=Account(counted.spending.wait_seconds, counted.spending.spend),
                gauges=TaskGauges(figures.observe_task, figures.set_tasks),
                clock=edges.clock,
                leaving=Leaving(partial(stop.rest_seconds, settings.service.drain_seconds), stop.insistence),
                senders_of=state.people.senders_of,
                pace=edges.pace,
                since=await state.onset.note(is_on=settings.memory.enabled),
            )
            wiring = replace(wiring, slots=precedence, people=state.people)
            async with (
                open_remembering(settings, around) as remembering,
                open_router(replace(wiring, memory=remembering.memory), kept.session_scope, drain) as router,
            ):
                yield Parts(state, front, store, models.main, remembering, router, counted.spending)


def _calibrate(state: State, figures: Figures) -> Calibration:
    return Calibration(
        {model: Learnt(*learnt) for model, learnt in state.factors.known.items()},
        figures.show_token_ratio,
    )


def _saves(state: State, counted: Counted) -> Sequence[Save]:
    return (
        partial(save, counted.calibration, state.factors.keep),
        partial(save, counted.spending, state.usage.keep),
    )


@asynccontextmanager
async def _closing(channels: Mapping[str, Channel]) -> AsyncIterator[None]:
    """Close the channels' connections last: the turns that end at a shutdown still say something."""
    try:
        yield
    finally:
        for channel in channels.values():
            if isinstance(channel, Closing):
                await channel.close()


def _controls(parts: Parts, teller: Teller, clock: Clock) -> Controls:
    return Controls(
        state=parts.state,
        front=parts.front,
        store=parts.store,
        provider=parts.provider,
        remembering=parts.remembering,
        router=parts.router,
        spending=parts.spending,
        tell=teller.tell,
        clock=clock,
    )


def _build_gate(settings: Settings, parts: Parts, teller: Teller, figures: Figures) -> Gate:
    return Gate(
        GateWiring(
            settings=settings.gate,
            allowed=_allow_lists(settings.channels_config),
            unlimited=CONSOLE,
            pairings=parts.state.pairings,
            forward=parts.router.accept,
            tell=teller.tell,
            count=figures.count_message,
            monotonic=time.monotonic,
        )
    )


def _allow_lists(channels: ChannelsSettings) -> dict[str, AllowList]:
    lists = {
        "telegram": channels.telegram.allowed_users,
        "discord": channels.discord.allowed_users,
        "slack": channels.slack.allowed_users,
    }
    return {
        **{name: parse_allowed(users) for name, users in lists.items()},
        **dict.fromkeys(CONSOLE, AllowList(everyone=True)),
    }


def _wire(
    settings: Settings, store: SessionStore, models: Models, front: Front, clock: Clock, counted: Counted
) -> Wiring:
    return Wiring(
        settings=settings.agent,
        store=store,
        enclosures=Enclosures(store.folder if settings.channels_config.session_persistence else None),
        provider=models.main,
        background=models.background,
        front=front,
        max_output_tokens=min(settings.provider.max_output_tokens, max(settings.agent.max_context_tokens // 2, 1)),
        temperature=settings.provider.temperature,
        streams=settings.channels_config.stream == "edit",
        stale_after_minutes=settings.channels_config.stale_after_minutes,
        slots=Precedence(settings.agent.max_concurrent_turns, cuts=settings.provider.kind == "local"),
        background_slots=asyncio.Semaphore(settings.tasks.concurrency),
        calibration=counted.calibration,
        spending=counted.spending,
        count_compaction=counted.figures.count_compaction,
        clock=clock,
        monotonic=time.monotonic,
        new_id=_new_id,
    )


async def _converse(parts: Parts, accept: Accept, control: AbstractAsyncContextManager[None]) -> None:
    """Finish what an earlier run left, for a time alone; then let every channel be heard."""
    async with control, asyncio.TaskGroup() as tasks:
        recovering = tasks.create_task(parts.router.recover(say_progress), name="recovery")
        await asyncio.wait([recovering], timeout=RECOVERY_SECONDS)
        log.info("channels_receiving", channels=list(parts.front.channels), recovered=recovering.done())
        for channel in parts.front.channels.values():
            places = partial(parts.router.places, channel.name)
            tasks.create_task(_receive(channel, accept, places), name=f"channel {channel.name}")
        await parts.router.finish(await recovering)
        await parts.router.learn_missed()
        if not parts.remembering.is_lacking:
            await parts.store.keep_marks()


async def _receive(channel: Channel, accept: Accept, places: Places) -> None:
    try:
        await channel.run(accept, places)
    except ChannelUnavailable as fault:
        raise ConfigError(str(fault)) from fault


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Await `work`, or cancel it once `stop` is set."""
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work, name="channels")
        watching = tasks.create_task(_cancel_when(stop, working), name="signals")
        await asyncio.wait([working])
        watching.cancel()


async def _cancel_when(stop: asyncio.Event, task: asyncio.Task[None]) -> None:
    await stop.wait()
    log.info("stop_requested")
    task.cancel()


def _build_channels(names: Sequence[str], settings: ChannelsSettings, edges: Edges) -> Mapping[str, Channel]:
    try:
        return edges.build_channels(names, settings, Tools(_new_id, time.monotonic, COMMANDS, ARGUMENTS))
    except ChannelUnavailable as fault:
        raise ConfigError(str(fault)) from fault


def _new_id() -> str:
    return secrets.token_hex(8)


def _refuse_reload() -> None:
    """Stay alive: SIGHUP's own action would end the process without a word."""
    log.warning("reload_refused", reason="restart the daemon to take in a changed configuration")
