"""This module offers what came in to the daemon, and retries with a growing pause until it is on disk.

If it cannot be kept, its sender is told once, until something of that channel is accepted again.
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
"""Sends a sentence to an address, or logs why that failed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that came in from a channel or thread, and waits to be offered."""

    channel_id: int
    place: Callable[[Room], FromPerson | None]
    """Builds the inbound value once its place is known; None: there is nothing to take in."""
    room: Room | None = None
    """The place; None: not known yet."""
    message_id: int | None = None
    """The message's id, if it can be fetched again."""
    changes: int | None = None
    """The id of the message that it edits or deletes; such a change is not delivered a second time."""
    accepted: asyncio.Event | None = None
    """Set once it is on disk."""


class Offers:
    """Offers what came in to the daemon."""

    def __init__(self, accept: Accept, rooms: Rooms, tell: Tell, health: Health, waits: Waits) -> None:
        """Offer to `accept`; explain by `tell` why something is not kept yet."""
        self._accept = accept
        self._rooms = rooms
        self._tell = tell
        self._health = health
        self._waits = waits
        self._refusals: dict[int, str] = {}

    @property
    def refusal(self) -> str:
        """Why something that waits was not accepted when it was last offered; empty: nothing waits."""
        return next(iter(self._refusals.values()), "")

    async def offer(self, heard: Heard) -> None:
        """Return once it is accepted, or is found to be nothing to take in."""
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
        """Retry a call until Discord can be reached. Raises SendFailed on a refusal."""
        return await persevere(call, self._waits)

    @property
    def sentence(self) -> str:
        """What is wrong, as a sentence for the operator; empty: nothing."""
        return f"what comes in cannot be kept: {self.refusal}" if self.refusal else ""


async def persevere(
    call: Callable[[], Awaitable[T]], waits: Waits, note: Callable[[str], None] = lambda _fault: None
) -> T:
    """Retry a call until Discord can be reached; `note` takes each reason why not. Raises SendFailed on a refusal."""
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
