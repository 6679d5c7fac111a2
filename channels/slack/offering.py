"""Offers what people said to the daemon, again and again where it cannot be kept now; its sender is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from channels.base import Accept, Address, FromPerson
from channels.errors import NotAccepted
from channels.slack.waits import Waits

__all__ = ["Offering", "Tell"]

log = structlog.get_logger()

TRIES_AGAIN = "I try again by myself: there is no need to send it once more."

Tell = Callable[[Address, str], Awaitable[None]]
"""Shows someone a sentence, or logs why that failed."""


class Offering:
    """Offers to one daemon."""

    def __init__(self, accept: Accept, tell: Tell, waits: Waits) -> None:
        """Hand over to `accept`, and explain with `tell`."""
        self._accept = accept
        self._tell = tell
        self._waits = waits
        self._refusals: dict[Address, str] = {}

    @property
    def refusal(self) -> str:
        """Why something was not accepted the last time it was offered; empty: nothing waits for that."""
        return next(iter(self._refusals.values()), "")

    async def offer(self, inbound: FromPerson) -> None:
        """Return once it is on disk."""
        place = inbound.address
        for tries in count():
            try:
                await self._accept(inbound)
            except NotAccepted as fault:
                is_first = place not in self._refusals
                self._refusals[place] = str(fault)
                log.warning("message_not_accepted", channel="slack", fault=str(fault))
                if is_first:
                    await self._tell(place, f"{fault} {TRIES_AGAIN}")
            else:
                self._refusals.pop(place, None)
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
