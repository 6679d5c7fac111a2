"""Builds the daemon's parts, each nested in the lifetimes of those that it needs; leaving them backwards is the
shutdown order.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from agentd.admission.spending import Spending
from agentd.app.models import ChangingModels, open_changing_models
from agentd.app.reloading import CONSOLE
from agentd.app.remembering import Background, Remembering, open_remembering
from agentd.app.shutdown_deadlines import Stop
from agentd.app.supervising import RestartPolicy
from agentd.context.calibration import Calibration, ModelFactor
from agentd.context.tokens import MOST_CHARACTERS_PER_TOKEN
from agentd.conversation.router import Router, open_router
from agentd.conversation.wiring import Wiring
from agentd.delivery.front import Front, build_front
from agentd.providers.precedence import Precedence
from agentd.service.figures import Figures
from agentd.service.notifying import SILENT, Notifier
from agentd.service.reporting import CONTACT_SECONDS
from agentd.service.vitals import Limits
from agentd.settings import Settings
from agentd.state.saving import Save, save, save_regularly
from agentd.state.state import State, open_state
from agentd.tasks.asking import Allowance
from agentd.tasks.queue import Gauges as TaskGauges
from agentd.transcript.clock import Clock, utc_now
from agentd.transcript.disk import Disk
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.marks import NO_MARKS
from agentd.transcript.store import ReadLimits, SessionStore, open_store
from agentd.transcript.uptime import read_uptime
from channels.base import Channel, Closing
from channels.registry import build_channels
from channels.settings import ChannelsSettings
from channels.tools import Tools

if TYPE_CHECKING:
    from agentd.tasks.timing import QueueTiming

__all__ = ["Around", "Edges", "Intervals", "Parts", "new_id", "open_parts"]


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often the daemon checks itself, and how long it waits for others."""

    beat_seconds: float = 1.0
    contact_seconds: float = CONTACT_SECONDS
    """After this time it counts as ready even without the channels that have not reached their platform."""
    restart_policy: RestartPolicy = field(default=RestartPolicy())
    limits: Limits = field(default=Limits())


@dataclass(frozen=True, slots=True)
class Edges:
    """The daemon's connections to the world: channels, disk, clock, supervisor; tests replace them."""

    build_channels: Callable[[Sequence[str], ChannelsSettings, Tools], Mapping[str, Channel]] = build_channels
    wrap_disk: Callable[[Disk], Disk] = lambda disk: disk
    clock: Clock = utc_now
    timing: QueueTiming | None = None
    """How often the queue polls, and how long it waits; None: the usual."""
    notifier: Notifier = SILENT
    """Reports to whoever supervises the daemon (systemd)."""
    intervals: Intervals = Intervals()
    load: Callable[[], Settings] | None = None
    """Reads the configuration again for a reload; None: no reload is possible."""
    configure_log: Callable[[Settings], None] = lambda settings: None
    burn: Callable[[float], None] = lambda seconds: None
    """Ends the process after so many seconds, whatever hangs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that live as long as the daemon does."""

    state: State
    front: Front
    store: SessionStore
    models: ChangingModels
    remembering: Remembering
    router: Router
    spending: Spending


@dataclass(frozen=True, slots=True)
class Around:
    """What the parts get from outside: the stop signal, the metrics, the queue's gauges."""

    stop: Stop
    figures: Figures
    tasks: TaskGauges
    """The callbacks by which the queue reports."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is learnt and counted besides the replies."""

    calibration: Calibration
    spending: Spending
    figures: Figures


@asynccontextmanager
async def open_parts(
    settings: Settings, channels: Mapping[str, Channel], edges: Edges, around: Around
) -> AsyncIterator[Parts]:
    """Build the parts, each inside those that it needs; leaving the block closes them in reverse."""
    kept, stop, figures = settings.channels_config, around.stop, around.figures
    async with (
        _closing(channels, stop),
        open_state(settings.workspace / "state.db", version("agentd"), edges.clock) as state,
    ):
        if channels.keys() - CONSOLE:
            state.require()
        front = build_front(channels, state.aliases, time.monotonic, figures.count_send)
        counted = Counted(
            _calibrate(state, figures),
            Spending(settings.limits, state.usage.recent, edges.clock, state.people.senders_of),
            figures,
        )
        async with (
            open_store(
                settings.workspace / "sessions",
                edges.clock,
                wrap_disk=edges.wrap_disk,
                persistent=kept.session_persistence,
                limits=ReadLimits(
                    settings.agent.max_context_tokens * MOST_CHARACTERS_PER_TOKEN,
                    state.marks if kept.session_persistence else NO_MARKS,
                ),
                observe=figures.observe_append,
            ) as store,
            open_changing_models(settings.provider, figures) as models,
            save_regularly(_saves(state, counted)),
        ):
            background = Background(
                provider=models.background,
                slots=asyncio.Semaphore(settings.tasks.concurrency),
                precedence=Precedence(settings.agent.max_concurrent_turns, cuts=settings.provider.kind == "local"),
                allowance=Allowance(counted.spending.wait_seconds, counted.spending.spend),
                gauges=around.tasks,
                clock=edges.clock,
                leaving=stop.leaving,
                senders_of=state.people.senders_of,
                timing=edges.timing,
                since=await state.onset.note(is_on=settings.memory.enabled),
            )
            wiring = replace(_wire(settings, store, models, front, background, counted), people=state.people)
            async with (
                open_remembering(settings, background) as remembering,
                open_router(replace(wiring, memory=remembering.memory), kept.session_scope, stop.drain) as router,
            ):
                yield Parts(state, front, store, models, remembering, router, counted.spending)


def _calibrate(state: State, figures: Figures) -> Calibration:
    return Calibration(
        {model: ModelFactor(*learnt) for model, learnt in state.factors.known.items()},
        figures.show_token_ratio,
    )


def _saves(state: State, counted: Counted) -> Sequence[Save]:
    return (
        partial(save, counted.calibration, state.factors.keep),
        partial(save, counted.spending, state.usage.keep),
    )


@asynccontextmanager
async def _closing(channels: Mapping[str, Channel], stop: Stop) -> AsyncIterator[None]:
    """Close the channels' connections last, since turns that end during a shutdown still send."""
    try:
        yield
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(stop.close_seconds()), asyncio.TaskGroup() as tasks:
                for name, channel in channels.items():
                    if isinstance(channel, Closing):
                        tasks.create_task(channel.close(), name=f"close {name}")


def _wire(
    settings: Settings,
    store: SessionStore,
    models: ChangingModels,
    front: Front,
    background: Background,
    counted: Counted,
) -> Wiring:
    return Wiring(
        settings=settings.agent,
        store=store,
        enclosures=Enclosures(store.folder if settings.channels_config.session_persistence else None),
        provider=models.main,
        background=background.provider,
        front=front,
        max_output_tokens=min(settings.provider.max_output_tokens, max(settings.agent.max_context_tokens // 2, 1)),
        temperature=settings.provider.temperature,
        streams=settings.channels_config.stream == "edit",
        stale_after_minutes=settings.channels_config.stale_after_minutes,
        slots=background.precedence,
        background_slots=background.slots,
        calibration=counted.calibration,
        spending=counted.spending,
        count_compaction=counted.figures.count_compaction,
        observe_turn=counted.figures.observe_turn,
        clock=background.clock,
        monotonic=time.monotonic,
        uptime=read_uptime(),
        new_id=new_id,
    )


def new_id() -> str:
    return secrets.token_hex(8)
