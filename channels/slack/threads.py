"""Where people are known from, and so which threads stay open: in those every message is meant for the bot.

A thread opens when a mention in it was let in, which a channel is not told: what a stranger writes is confirmed like
anything else. The sessions tell. They are looked through at the start, after a gap, and when somebody writes without a
mention in a thread that had one since the last look: that look tells of all threads, so that looks are few.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from channels.base import Address, KnownPlace, Places
from channels.errors import NotAccepted
from channels.slack.standing import Standing
from channels.slack.waits import Waits

__all__ = ["Threads"]

log = structlog.get_logger()

MOST_MENTIONS = 10_000
"""Threads with a mention that no look has followed yet; of more, the oldest are not open until they are named again."""


class Threads:
    """The threads that are open."""

    def __init__(self, places: Places, monotonic: Callable[[], float], standing: Standing, waits: Waits) -> None:
        """Ask `places`."""
        self._places = places
        self._monotonic = monotonic
        self._standing = standing
        self._waits = waits
        self._known: set[Address] = set()
        self._mentioned: dict[Address, None] = {}
        self._looking = asyncio.Lock()
        self._looked: float | None = None

    async def look(self) -> Sequence[KnownPlace]:
        """Return where people are known from; asked for until that can be told."""
        async with self._looking:
            return await self._look()

    def knew(self, thread: Address) -> bool:
        """Tell whether somebody was heard there when it was last looked."""
        return thread in self._known

    def mention(self, thread: Address) -> None:
        """Note that somebody named the bot there, and that it was taken, or dropped as a stranger's."""
        if thread not in self._known:
            self._mentioned[thread] = None
            if len(self._mentioned) > MOST_MENTIONS:
                del self._mentioned[next(iter(self._mentioned))]

    async def is_open(self, thread: Address) -> bool:
        """Tell whether a thread is one in which everything is meant for the bot."""
        if thread not in self._known and thread in self._mentioned:
            async with self._looking:
                if thread in self._mentioned:
                    await self._rest()
                    await self._look()
        return thread in self._known

    async def _look(self) -> Sequence[KnownPlace]:
        asked = list(self._mentioned)
        places = await self._ask()
        self._looked = self._monotonic()
        self._known.update(place.address for place in places if place.address.thread is not None)
        for thread in asked:
            self._mentioned.pop(thread, None)
        return places

    async def _ask(self) -> Sequence[KnownPlace]:
        tries = 0
        while True:
            try:
                places = await self._places()
            except NotAccepted as fault:
                self._standing.begin("places", f"it cannot be told where people were heard: {fault}")
                log.warning("places_not_known", channel="slack", fault=str(fault))
            else:
                self._standing.end("places")
                return places
            await asyncio.sleep(self._waits.places.after(tries))
            tries += 1

    async def _rest(self) -> None:
        if self._looked is not None:
            await asyncio.sleep(max(self._looked + self._waits.scan_seconds - self._monotonic(), 0.0))
