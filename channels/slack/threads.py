"""This module tells which channel threads are open: in those every message is meant for the bot, mention or not.

A thread opens when a message in it that mentions the bot was let in by the allow list. The channel is not told that: a
stranger's message is accepted and acked like any other. So the known places, which come from the sessions, are read at
the start, after a gap, and when somebody writes without a mention in a thread that had one since the last read. One
read tells about all threads.
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
"""How many threads with a mention wait for the next read; the oldest beyond that stay closed until the next mention."""


class Threads:
    """Knows the open threads."""

    def __init__(self, places: Places, monotonic: Callable[[], float], standing: Standing, waits: Waits) -> None:
        """Read the known places by `places`."""
        self._places = places
        self._monotonic = monotonic
        self._standing = standing
        self._waits = waits
        self._known: set[Address] = set()
        self._mentioned: dict[Address, None] = {}
        self._looking = asyncio.Lock()
        self._looked: float | None = None

    async def look(self) -> Sequence[KnownPlace]:
        """Return the known places, retrying until they can be told."""
        async with self._looking:
            return await self._look()

    def knew(self, thread: Address) -> bool:
        """Tell whether somebody had been heard in a thread by the last read."""
        return thread in self._known

    def mention(self, thread: Address) -> None:
        """Note that a thread had a mention of the bot, which was taken in, or dropped as a stranger's."""
        if thread not in self._known:
            self._mentioned[thread] = None
            if len(self._mentioned) > MOST_MENTIONS:
                del self._mentioned[next(iter(self._mentioned))]

    async def is_open(self, thread: Address) -> bool:
        """Tell whether a thread is open, reading the known places first if it had a mention since the last read."""
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
