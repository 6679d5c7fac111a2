"""What every session's actor works with; the composition root fills it in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agentd.admission.spending import Spending
from agentd.context.calibration import Calibration
from agentd.conversation.patience import Slots
from agentd.conversation.remembrance import Remembrance
from agentd.conversation.settings import AgentSettings
from agentd.delivery.front import Front
from agentd.providers.base import Provider
from agentd.service.people import People
from agentd.transcript.clock import Clock
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.store import SessionStore
from agentd.transcript.uptime import Uptime
from channels.backoff import Growing

__all__ = ["SummaryTimes", "Wiring"]


@dataclass(frozen=True, slots=True)
class SummaryTimes:
    """How long a summary may keep anybody."""

    call_seconds: float = 120.0
    """One of them: the next step of a job has its own time."""
    wait_seconds: float = 20.0
    """A full turn waits so long after the job began, and then goes on without what does not fit."""
    pause: Growing = Growing(30.0, 600.0)
    """Until the next try after a job that failed."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts below the conversation, and what is injected so that tests can hold it still."""

    settings: AgentSettings
    store: SessionStore
    enclosures: Enclosures
    provider: Provider
    background: Provider
    """Who makes summaries."""
    front: Front
    max_output_tokens: int
    temperature: float
    streams: bool
    """Whether replies grow as they are made, on channels that can show that."""
    stale_after_minutes: float
    slots: Slots
    """Turns that may ask the provider at once."""
    background_slots: asyncio.Semaphore
    """Summaries that may be made at once: turns do not wait for them."""
    calibration: Calibration
    spending: Spending
    count_compaction: Callable[[str], None]
    """Takes in whether a summary was `made`, or `failed`."""
    clock: Clock
    monotonic: Callable[[], float]
    uptime: Uptime
    new_id: Callable[[], str]
    summary_times: SummaryTimes = SummaryTimes()
    observe_turn: Callable[[float, float], None] = lambda seconds, overhead_seconds: None
    """Takes how long a turn took, and how much of that was no wait for the provider."""
    memory: Remembrance | None = None
    """None where nothing is remembered beyond the conversation."""
    people: People | None = None
    """None where nobody can be linked."""
