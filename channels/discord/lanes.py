"""This module queues what comes in by channel or thread: a lane works in order, and lanes do not wait for each other.

Discord does not redeliver, so that missed messages are fetched, and before anything newer of their place is handed
over: else the process could end with a newer message on disk, and the older one would never be asked for again. So all
lanes are held until it is known what was missed, and each begins with what it has to fetch.
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
"""The most that waits in one lane. Messages beyond that are dropped, and fetched once the lane has worked off these."""

MOST_CHANGES = 1_000
"""How many messages of a full lane have their last edit or deletion kept: those cannot be fetched later."""

MOST_FETCHING = 4
"""How many lanes catch up at the same time, not counting those where somebody writes and those that take long."""

Offer = Callable[[Heard], Awaitable[None]]
Fetch = Callable[[int, int], Awaitable[bool]]
"""Fetches and hands over the messages of a channel after a message id; False: the channel may not be read now."""


@dataclass(slots=True)
class _Lane:
    """What waits in one channel or thread."""

    waiting: deque[Heard] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    changes: dict[int, Heard] = field(default_factory=dict)
    """Edits and deletions that come after all that waits, by message id: only the last of each message is kept."""
    gap: int | None = None
    """The message id to fetch from before anything that waits."""
    beyond: int | None = None
    """The message id to fetch from once all that waits is done."""
    is_ushered: bool = False

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be queued in order."""
        return self.beyond is not None or bool(self.changes) or len(self.waiting) >= MOST_WAITING


class Lanes:
    """Runs one lane, which is a task, for each channel or thread of which something waits."""

    def __init__(self, tasks: asyncio.TaskGroup, offer: Offer, fetch: Fetch, health: Health, waits: Waits) -> None:
        """Hand over what waits by `offer`, and what was missed by `fetch`."""
        self._tasks = tasks
        self._offer = offer
        self._fetch = fetch
        self._health = health
        self._waits = waits
        self._lanes: dict[int, _Lane] = {}
        self._gaps: dict[int, int] = {}
        self._shut: dict[int, int] = {}
        """Where channels could not be read: they are fetched after the next gap, or once something is heard there."""
        self._open = asyncio.Event()
        self._slots = asyncio.Semaphore(MOST_FETCHING)

    def hold(self) -> None:
        """Hand over nothing more until `release`."""
        self._open.clear()

    def release(self, gaps: Mapping[int, int]) -> None:
        """Hand over again, but fetch first what stands after these message ids in these channels, in this order."""
        shut, self._shut = self._shut, {}
        self._gaps = dict(gaps) | {place: min(gap, gaps.get(place, gap)) for place, gap in shut.items()}
        for channel_id, lane in self._lanes.items():
            lane.gap = self._gaps.pop(channel_id, lane.gap)
        self._open.set()
        if self._gaps:
            self._tasks.create_task(self._usher(), name="discord catch-up")

    def put(self, heard: Heard) -> bool:
        """Queue behind what came before in its place; False: the lane is full, this is lost for good."""
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
        """Keep a change until what waits is done; later messages are fetched, with their changes in them already."""
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
        """Start lanes that have only missed messages to fetch, a few at a time."""
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
            # There was no await since the lane was found empty, so that nothing can have been put into it.
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
        """Fetch what was missed; after `slot_seconds` this lane gives up its slot, and goes on without one."""
        timer = asyncio.get_running_loop().call_later(self._waits.slot_seconds, self._see_off, lane)
        try:
            if not await self._fetch(channel_id, gap):
                self._shut[channel_id] = min(gap, self._shut.get(channel_id, gap))
        finally:
            timer.cancel()
        self._see_off(lane)

    def _see_off(self, lane: _Lane) -> None:
        """Give back the lane's slot, if it has one, so that the next place can begin."""
        if lane.is_ushered:
            lane.is_ushered = False
            self._slots.release()
