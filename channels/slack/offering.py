"""This module offers what came in to the daemon, retrying with a growing pause until it is on disk.

If it cannot be kept now, its sender is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from channels.base import Accept, Address, FromPerson
from channels.errors import NotAccepted
from channels.slack.standing import Standing
from channels.slack.waits import Waits

__all__ = ["Offering", "Tell"]

log = structlog.get_logger()

TRIES_AGAIN = "I try again by myself: there is no need to send it once more."

Tell = Callable[[Address, str], Awaitable[None]]
"""Sends a sentence to an address, or logs why that failed."""


class Offering:
    """Offers what came in to the daemon."""

    def __init__(self, accept: Accept, tell: Tell, standing: Standing, waits: Waits) -> None:
        """Offer to `accept`; explain by `tell` why something is not kept yet."""
        self._accept = accept
        self._tell = tell
        self._standing = standing
        self._waits = waits
        self._refused: set[Address] = set()
        """Places of which something was refused and is offered again."""

    async def offer(self, inbound: FromPerson) -> None:
        """Return once it is on disk."""
        place = inbound.address
        for tries in count():
            try:
                await self._accept(inbound)
            except NotAccepted as fault:
                is_first = place not in self._refused
                self._refused.add(place)
                self._standing.begin("keeping", f"what comes in cannot be kept: {fault}")
                log.warning("message_not_accepted", channel="slack", fault=str(fault))
                if is_first:
                    await self._tell(place, f"{fault} {TRIES_AGAIN}")
            else:
                self._refused.discard(place)
                if not self._refused:
                    self._standing.end("keeping")
                return
            await asyncio.sleep(self._waits.refused.after(tries))

    async def offer_once(self, inbound: FromPerson) -> str:
        """Return an empty text once it is on disk, or why it cannot be kept."""
        try:
            await self._accept(inbound)
        except NotAccepted as fault:
            log.warning("message_not_accepted", channel="slack", fault=str(fault))
            return str(fault)
        return ""
