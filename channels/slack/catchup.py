"""This module catches up on messages that were missed during a gap, by reading the histories of known places.

Slack redelivers for minutes only. Every place where people were heard is read, the last heard first, and of a channel
also what was said outside of threads. What comes in live in a place waits until that place has been read: else a newer
message could be on disk when the process dies, and the older one would never be asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from channels.base import Address, KnownPlace
from channels.errors import SendFailed, Unreachable
from channels.health import Health
from channels.slack.budget import TIER_3
from channels.slack.histories import MOST_REQUESTS, Histories, Page
from channels.slack.lanes import Lanes
from channels.slack.parse import Reader, Said, is_direct_chat, read_time
from channels.slack.slots import Slot
from channels.slack.threads import Threads

__all__ = ["MOST_MESSAGES", "CatchUp", "Inquiry"]

log = structlog.get_logger()

MOST_MESSAGES = 20
"""How many messages are taken of one place; if there are more, the newest are taken and the others counted."""
MOST_OWED = 10_000
"""How many places with something left out are remembered; beyond that only Slack's own redelivery helps."""
AT_ONCE = 3
"""How many conversations are read at the same time, and how many threads: Slack counts their requests separately."""
MOST_BEHIND = 200
"""How many places may be in progress, found messages not yet all on disk, before no further place is read."""

ORDER_SECONDS = 2.0
"""How long a thread keeps its slot while its channel's messages are taken in: the threads behind it wait as long, else
they would use up the minute's requests before it."""

PRECISION = timedelta(milliseconds=1)
"""The precision of the times on disk."""
THREAD_BACK = timedelta(seconds=5)
"""How far before the last known message a history is read."""
CHANNEL_BACK = timedelta(minutes=10)
"""The same for a channel outside of threads, whose last message may be older than that of a thread in it."""

Take = Callable[[Said], Awaitable[None]]
"""Takes in a missed message as if it came live, but without an ack."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The parts that catching up works with."""

    histories: Histories
    reader: Reader
    threads: Threads
    lanes: Lanes
    health: Health
    """Counts what is passed over."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """What is to be read of a place: everything from `start` on; what was sent until `known` is on disk."""

    start: datetime
    known: datetime

    def with_(self, other: _Gap | None) -> _Gap:
        return _Gap(min(self.start, other.start), min(self.known, other.known)) if other else self


class CatchUp:
    """Reads what was missed, place by place, and lets live messages of a place wait for that."""

    def __init__(self, inquiry: Inquiry, take: Take) -> None:
        """Give what is found to `take`."""
        self._with = inquiry
        self._take = take
        self._due: dict[Address, _Gap] = {}
        self._owed: dict[Address, _Gap] = {}
        """What was left out or could not be read: after the next gap it is read from there on, whatever came since."""
        self._running: dict[Address, asyncio.Event] = {}
        self._ready = asyncio.Event()
        self._of_chats, self._of_threads = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
        self._behind = asyncio.Semaphore(MOST_BEHIND)
        self._gaps = 0

    def lost(self) -> None:
        """Begin a gap: nothing is taken in until the places to read are known."""
        self._gaps += 1
        self._ready.clear()

    def owe(self, place: Address, since: datetime) -> None:
        """Note that a message of that time was left out: its place is read again after the next gap."""
        is_root = place.thread is not None and read_time(place.thread) == since
        place = replace(place, thread=None) if is_root and not is_direct_chat(place.chat) else place
        self._owe(place, _Gap(since - THREAD_BACK, since - timedelta(microseconds=1)))

    def _owe(self, place: Address, gap: _Gap) -> None:
        if place in self._owed or len(self._owed) < MOST_OWED:
            self._owed[place] = gap.with_(self._owed.get(place))

    async def begin(self) -> None:
        """End a gap: find the places to read, and read all of them."""
        number = self._gaps
        places = await self._with.threads.look()
        if number != self._gaps:
            return  # another gap has begun, and is ended by another call
        plan = _plan(places, reads_channels=self._with.reader.channels != "off")
        left, self._due = self._due, {}  # what was left from an earlier gap comes in the order of this one
        for place, gap in (*plan.items(), *self._owed.items(), *left.items()):
            self._due[place] = gap.with_(self._due.get(place))
        self._owed.clear()
        order = list(self._due)
        self._ready.set()
        self._with.histories.hurry()
        log.info("catch_up_began", channel="slack", places=len(order))
        async with asyncio.TaskGroup() as tasks:
            for slots, is_thread in ((self._of_chats, False), (self._of_threads, True)):
                places_of_kind = [place for place in order if (place.thread is not None) is is_thread]
                tasks.create_task(self._usher(places_of_kind, slots, number), name="slack catch-up")

    async def _usher(self, places: Sequence[Address], slots: asyncio.Semaphore, number: int) -> None:
        """Start reading places, a few at a time, until another gap begins."""
        for place in places:
            if len(places) > TIER_3.calls:  # else one minute holds them all
                await self._with.histories.leave_room(place)
            await self._behind.acquire()
            slot = Slot(slots)
            await slot.take()
            if place in self._due and number == self._gaps:
                if self._with.lanes.is_busy(place):
                    slot.give_back()  # what comes before it there may take any time, too
                self._with.lanes.put(place, partial(self._in_slot, place, slot))
            else:
                slot.give_back()
                self._behind.release()

    async def reach(self, place: Address, slot: Slot | None = None) -> None:
        """Return once what was missed in a place, and in its channel, is taken in; read it now if nobody has.

        With a slot, hold it while reading, and give it back before taking in what was found, which may take any time.
        """
        await self._ready.wait()
        for asked in (replace(place, thread=None), place) if place.thread is not None else (place,):
            if asked in self._due:
                await self._ask(asked, slot)
            elif asked in self._running:
                await self._join(self._running[asked], slot)

    async def _join(self, ended: asyncio.Event, slot: Slot | None) -> None:
        """Wait for a reading that is under way; give the slot back after a while, since that may take any time."""
        if slot is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ORDER_SECONDS):
                    await ended.wait()
            if not ended.is_set():
                slot.give_back()
        await ended.wait()

    async def _in_slot(self, place: Address, slot: Slot) -> None:
        try:
            await self.reach(place, slot)
        finally:
            slot.give_back()
            self._behind.release()

    async def _ask(self, place: Address, slot: Slot | None) -> None:
        gap = self._due.pop(place)
        ended = self._running[place] = asyncio.Event()
        try:
            if slot is not None:
                await slot.take()
            found = await self._find(place, gap)
            if slot is not None:
                slot.give_back()
            for said in found:
                await self._take(said)
        finally:
            ended.set()
            if self._running.get(place) is ended:
                del self._running[place]

    async def _find(self, place: Address, gap: _Gap) -> Sequence[Said]:
        """Return what people said in a place since the gap's start, oldest first; nothing if Slack does not answer."""
        try:
            page = await self._with.histories.read(place, gap.start.timestamp())
        except (SendFailed, Unreachable) as fault:
            self._owe(place, gap)
            self._with.health.counts["not_caught_up"] += 1
            log.warning("place_not_caught_up", chat=place.chat, thread=place.thread, fault=str(fault))
            return ()
        found = sorted(filter(None, (self._said(message, place, gap) for message in page.messages)), key=_when)
        self._count_lost(place, gap, page, found[:-MOST_MESSAGES])
        for message in page.messages if place.thread is None else ():
            self._add_thread(message, place)
        return found[-MOST_MESSAGES:]

    def _count_lost(self, place: Address, gap: _Gap, page: Page, left_out: Sequence[Said]) -> None:
        """Count and log the messages that are left out for good and are not on disk."""
        count = sum(said.at > gap.known for said in left_out)
        is_unread = page.is_cut and (place.thread is not None or page.oldest > gap.known.timestamp())
        lost = {"missed": count, "missed_pages": int(is_unread)}
        if any(lost.values()):
            self._with.health.counts.update({what: times for what, times in lost.items() if times})
            requests = MOST_REQUESTS if is_unread else None
            log.warning("catch_up_cut", chat=place.chat, thread=place.thread, count=count, requests=requests)

    def _said(self, message: Mapping[str, Any], place: Address, gap: _Gap) -> Said | None:
        """Parse a message of a history; None if it is too old, of another place, or not meant for the bot."""
        said = self._with.reader.read_message(message, place.chat)
        if not isinstance(said, Said) or said.kind != "message" or said.at < gap.start:
            return None
        if place.thread is None and not is_direct_chat(place.chat):
            return said if said.names_me or self._with.reader.channels == "all" else None
        return said if said.address == place else None

    def _add_thread(self, root: Mapping[str, Any], place: Address) -> None:
        """Queue a thread that began in the gap, if its root was meant for the bot or it is in direct messages."""
        said = self._with.reader.read_message(root, place.chat)
        is_ours = isinstance(said, Said) and (said.names_me or self._with.reader.channels == "all")
        ts = root.get("ts")
        if not root.get("reply_count") or not isinstance(ts, str) or not (is_ours or is_direct_chat(place.chat)):
            return
        thread = replace(place, thread=ts)
        began = read_time(ts)
        if began is not None and thread not in self._due:
            self._due[thread] = _Gap(began, began)
            self._with.lanes.put(thread, partial(self.reach, thread))


def _when(said: Said) -> datetime:
    return said.at


def _plan(places: Sequence[KnownPlace], *, reads_channels: bool) -> dict[Address, _Gap]:
    """Return the gap of each place, and of each place's channel, in the order of `places`."""
    plan: dict[Address, _Gap] = {}
    for known in places:
        place, last = known.address, known.last_sent_at.astimezone(UTC)
        is_direct, until = is_direct_chat(place.chat), last + PRECISION
        if not is_direct and reads_channels:
            plan.setdefault(replace(place, thread=None), _Gap(last - CHANNEL_BACK, until))
        if is_direct or (reads_channels and place.thread is not None):
            plan[place] = _Gap(last - THREAD_BACK, until)
    return plan
