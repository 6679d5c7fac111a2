"""What came in is handed to the daemon, as often as it takes: what was not accepted is offered again.

Its sender is told once, until something of that channel is accepted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import structlog

from channels.base import Accept, Address, FromPerson
from channels.discord.rooms import Room, Rooms
from channels.discord.waits import Waits
from channels.errors import NotAccepted, RateLimited, SendFailed, Unreachable
from channels.health import Health

__all__ = ["Heard", "Offers", "persevere"]

log = structlog.get_logger()

TRIES_AGAIN = "I try again by myself: there is no need to send it once more."

Tell = Callable[[Address, str], Awaitable[None]]
"""Shows someone a sentence, or logs why that failed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that came in, in a channel or thread."""

    channel_id: int
    place: Callable[[Room], FromPerson | None]
    """Says what it is once its place is known; None: nothing to take in."""
    room: Room | None = None
    """None: not known yet."""
    message_id: int | None = None
    """Of a message that can be fetched again."""
    changes: int | None = None
    """The message that it edits or takes back, which nobody tells a second time."""
    accepted: asyncio.Event | None = None
    """Set once it is on disk."""


class Offers:
    """Hands over, one at a time for each channel."""

    def __init__(self, accept: Accept, rooms: Rooms, tell: Tell, health: Health, waits: Waits) -> None:
        """Hand over to `accept`."""
        self._accept = accept
        self._rooms = rooms
        self._tell = tell
        self._health = health
        self._waits = waits
        self._refusals: dict[int, str] = {}

    @property
    def refusal(self) -> str:
        """Why something was not accepted the last time it was offered; empty: nothing waits for that."""
        return next(iter(self._refusals.values()), "")

    async def offer(self, heard: Heard) -> None:
        """Hand over, and return when it is accepted, or nothing to take in."""
        room = heard.room or await self._find(heard.channel_id)
        inbound = heard.place(room) if room is not None else None
        if inbound is None:
            self._health.counts["nowhere"] += 1
            return
        await self._offer(heard.channel_id, inbound)
        if heard.accepted is not None:
            heard.accepted.set()

    async def _find(self, channel_id: int) -> Room | None:
        try:
            return await self.persevere(lambda: self._rooms.find(channel_id))
        except SendFailed as fault:
            log.warning("place_not_known", channel="discord", place=channel_id, fault=str(fault))
            return None

    async def _offer(self, channel_id: int, inbound: FromPerson) -> None:
        for tries in count():
            try:
                await self._accept(inbound)
            except NotAccepted as fault:
                is_first = channel_id not in self._refusals
                self._refusals[channel_id] = str(fault)
                self._health.fault = self.sentence
                log.warning("message_not_accepted", channel="discord", fault=str(fault))
                if is_first:
                    await self._tell(inbound.address, f"{fault} {TRIES_AGAIN}")
            else:
                self._refusals.pop(channel_id, None)
                return
            await asyncio.sleep(self._waits.refused.after(tries))

    async def persevere(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call Discord until it can be reached. Raises SendFailed where it refuses."""
        return await persevere(call, self._waits)

    @property
    def sentence(self) -> str:
        """Say for the operator what is wrong; empty: nothing."""
        return f"what comes in cannot be kept: {self.refusal}" if self.refusal else ""


async def persevere(
    call: Callable[[], Awaitable[T]], waits: Waits, note: Callable[[str], None] = lambda _fault: None
) -> T:
    """Call Discord until it can be reached; `note` is told why it cannot. Raises SendFailed where it refuses."""
    tries = 0
    while True:
        try:
            return await call()
        except Unreachable as fault:
            seconds = fault.retry_after_seconds if isinstance(fault, RateLimited) else waits.network.after(tries)
            note(str(fault))
            log.info("discord_not_reached", fault=str(fault), seconds=seconds)
        await asyncio.sleep(seconds)
        tries += 1
