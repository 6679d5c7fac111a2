"""Dependencies of every session's actor, passed in by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agentd.admission.spending import Spending
from agentd.context.calibration import Calibration
from agentd.conversation.deadline import Slots
from agentd.conversation.remembrance import Remembrance
from agentd.conversation.settings import AgentSettings
from agentd.delivery.front import Front
from agentd.providers.base import Provider
from agentd.state.people import People
from agentd.transcript.clock import Clock
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.store import SessionStore
from agentd.transcript.uptime import Uptime
from channels.backoff import Growing

__all__ = ["SummaryTimes", "Wiring"]


@dataclass(frozen=True, slots=True)
class SummaryTimes:
    """Time limits for making summaries."""

    call_seconds: float = 120.0
    """For one request to the model; the next summary of the same job has its own."""
    wait_seconds: float = 20.0
    """A turn whose prompt is full waits so long, counted from the job's begin, then goes on without what does not fit.
    """
    pause: Growing = Growing(30.0, 600.0)
    """Backoff after a failed job."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts below the conversation, and clocks and ids, injected so that tests can control them."""

    settings: AgentSettings
    store: SessionStore
    enclosures: Enclosures
    provider: Provider
    background: Provider
    """The model that writes summaries."""
    front: Front
    max_output_tokens: int
    temperature: float
    streams: bool
    """Whether replies grow while they are made, on channels that can edit messages."""
    stale_after_minutes: float
    slots: Slots
    """Limits how many turns may ask the provider at once."""
    background_slots: asyncio.Semaphore
    """Limits how many summaries are made at once; turns do not wait for it."""
    calibration: Calibration
    spending: Spending
    count_compaction: Callable[[str], None]
    """Called with `made` or `failed` for each summary."""
    clock: Clock
    monotonic: Callable[[], float]
    uptime: Uptime
    new_id: Callable[[], str]
    summary_times: SummaryTimes = SummaryTimes()
    observe_turn: Callable[[float, float], None] = lambda seconds, overhead_seconds: None
    """Called with a turn's length in seconds, and the part of it not spent waiting for the provider."""
    memory: Remembrance | None = None
    """None if memory is off."""
    people: People | None = None
    """None if accounts cannot be linked."""
