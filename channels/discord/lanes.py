"""What comes in waits in lanes: one at a time for each channel or thread, in order; lanes do not wait for each other.

Discord hands out nothing twice, so that what was missed is fetched, and before anything newer of its place is handed
over: else the process could end with a newer message on disk, and the older one would never be asked for again. So
lanes are held while it is not known what was missed, and each begins with what it has to fetch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from channels.discord.offers import Heard
from channels.discord.waits import Waits
from channels.health import Health

__all__ = ["MOST_CHANGES", "MOST_WAITING", "Lanes"]

log = structlog.get_logger()

MOST_WAITING = 100
"""In one lane. Messages beyond that are let go, and fetched when the lane has done with these."""

MOST_CHANGES = 1_000
"""Messages in one lane of which the last edit, or the deletion, is kept beyond that: they cannot be fetched."""

MOST_FETCHING = 4
"""Lanes that fetch what was missed at once, apart from those where somebody writes and those that take long."""

Offer = Callable[[Heard], Awaitable[None]]
Fetch = Callable[[int, int], Awaitable[bool]]
"""Fetches and hands over what stands in a channel after a message's id; False: it may not be read now."""


@dataclass(slots=True)
class _Lane:
    """What waits in one place."""

    waiting: deque[Heard] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    changes: dict[int, Heard] = field(default_factory=dict)
    """What changes a message, by its id, and comes after all that waits: only the last change of each counts."""
    gap: int | None = None
    """What to fetch from, before anything that waits."""
    beyond: int | None = None
    """What to fetch from when all that waits is done."""
    is_ushered: bool = False

    @property
    def is_full(self) -> bool:
        """Whether nothing more can wait in its turn."""
        return self.beyond is not None or bool(self.changes) or len(self.waiting) >= MOST_WAITING


class Lanes:
    """One lane for each place of which something is in progress; a lane is a task."""

    def __init__(self, tasks: asyncio.TaskGroup, offer: Offer, fetch: Fetch, health: Health, waits: Waits) -> None:
        """Hand over by `offer`."""
        self._tasks = tasks
        self._offer = offer
        self._fetch = fetch
        self._health = health
        self._waits = waits
        self._lanes: dict[int, _Lane] = {}
        self._gaps: dict[int, int] = {}
        self._shut: dict[int, int] = {}
        """What could not be read: it is asked for again after the next gap, or as soon as something is heard there."""
        self._open = asyncio.Event()
        self._slots = asyncio.Semaphore(MOST_FETCHING)

    def hold(self) -> None:
        """Hand over nothing more until `release`."""
        self._open.clear()

    def release(self, gaps: Mapping[int, int]) -> None:
        """Hand over again; fetch first what stands in these places after these ids, in this order."""
        shut, self._shut = self._shut, {}
        self._gaps = dict(gaps) | {place: min(gap, gaps.get(place, gap)) for place, gap in shut.items()}
        for channel_id, lane in self._lanes.items():
            lane.gap = self._gaps.pop(channel_id, lane.gap)
        self._open.set()
        if self._gaps:
            self._tasks.create_task(self._usher(), name="discord catch-up")

    def put(self, heard: Heard) -> bool:
        """Hand over after what came before it in its place; False: too much waits there, and it is let go for good."""
        lane = self._lane(heard.channel_id)
        if not lane.is_full:
            lane.waiting.append(heard)
            return True
        if heard.changes is not None:
            return self._keep(lane, heard, heard.changes)
        self._health.counts["overflowed"] += 1
        if heard.message_id is not None and lane.beyond is None:
            lane.beyond = heard.message_id - 1
        return heard.message_id is not None

    def _keep(self, lane: _Lane, heard: Heard, message_id: int) -> bool:
        """Keep a change until what waits is done; what comes of later messages is fetched as they stand then."""
        if message_id not in lane.changes and len(lane.changes) >= MOST_CHANGES:
            self._health.counts["changes lost"] += 1
            log.warning("change_lost", channel="discord", place=heard.channel_id, message=message_id)
            return False
        lane.changes[message_id] = heard
        return True

    def _lane(self, channel_id: int) -> _Lane:
        lane = self._lanes.get(channel_id)
        if lane is None:
            lane = self._lanes[channel_id] = _Lane(gap=self._gaps.pop(channel_id, self._shut.pop(channel_id, None)))
            self._tasks.create_task(self._run(channel_id, lane), name=f"discord place {channel_id}")
        return lane

    async def _usher(self) -> None:
        """Let places fetch what was missed, a few at a time, though nobody writes there."""
        while self._gaps:
            await self._slots.acquire()
            if not self._gaps:
                self._slots.release()
                return
            self._lane(next(iter(self._gaps))).is_ushered = True

    async def _run(self, channel_id: int, lane: _Lane) -> None:
        try:
            await self._work(channel_id, lane)
        finally:
            # No await since the lane was found empty: nobody can have put anything into it.
            del self._lanes[channel_id]
            self._see_off(lane)

    async def _work(self, channel_id: int, lane: _Lane) -> None:
        while True:
            await self._open.wait()
            if lane.gap is not None:
                gap, lane.gap = lane.gap, None
                await self._catch_up(channel_id, gap, lane)
            elif lane.waiting:
                await self._offer(lane.waiting[0])
                lane.waiting.popleft()
            elif lane.changes:
                await self._offer(lane.changes.pop(next(iter(lane.changes))))
            elif lane.beyond is not None:
                lane.gap, lane.beyond = lane.beyond, None
            else:
                return

    async def _catch_up(self, channel_id: int, gap: int, lane: _Lane) -> None:
        """Fetch what was missed. A place that takes long, or gets no answer, keeps no other from beginning."""
        timer = asyncio.get_running_loop().call_later(self._waits.slot_seconds, self._see_off, lane)
        try:
            if not await self._fetch(channel_id, gap):
                self._shut[channel_id] = min(gap, self._shut.get(channel_id, gap))
        finally:
            timer.cancel()
        self._see_off(lane)

    def _see_off(self, lane: _Lane) -> None:
        """Let the next place begin."""
        if lane.is_ushered:
            lane.is_ushered = False
            self._slots.release()
