"""What every session's actor works with; the composition root fills it in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agentd.conversation.settings import AgentSettings
from agentd.delivery.front import Front
from agentd.providers.base import Provider
from agentd.transcript.clock import Clock
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.store import SessionStore

__all__ = ["Wiring"]


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
    slots: asyncio.Semaphore
    """Turns that may ask the provider at once."""
    background_slots: asyncio.Semaphore
    """Summaries that may be made at once: turns do not wait for them."""
    count_compaction: Callable[[str], None]
    """Takes in whether a summary was `made`, or `failed`."""
    clock: Clock
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
