"""What was said while nobody listened: Slack delivers again for minutes only, so that its histories are asked.

Asked is wherever people are known from, the place heard last first, and in a channel also what was said outside of
threads. What comes in live in a place waits until that place was asked: else a newer message could be on disk when the
process dies, and the older one would never be asked for again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from channels.base import Address, KnownPlace
from channels.errors import RateLimited, SendFailed, Unreachable
from channels.health import Health
from channels.slack.budget import TIER_3, Budget
from channels.slack.connection import Connection
from channels.slack.lanes import Lanes
from channels.slack.parse import Reader, Said, is_direct_chat, read_time
from channels.slack.threads import Threads
from channels.slack.waits import Waits

__all__ = ["MOST_MESSAGES", "MOST_REQUESTS", "CatchUp", "Inquiry"]

log = structlog.get_logger()

MOST_REQUESTS = 3
MOST_MESSAGES = 20
"""Of one place; of more messages the newest are taken, and the others counted."""
PAGE = 100
MOST_TRIES = 10
"""Of a request that cannot be made; then the place is passed over, and counted."""
MOST_OWED = 10_000
"""Places of which something was left out; of further ones only Slack's own redelivery is left."""
AT_ONCE = 3
"""Places that are asked beside each other."""
MOST_BEHIND = 200
"""Places whose messages were found, and are not all kept yet: more are not asked before one of them is done."""

THREAD_BACK = timedelta(seconds=5)
"""How far before the last known message it is looked: times are kept in milliseconds."""
CHANNEL_BACK = timedelta(minutes=10)
"""The same for a channel outside of threads, whose last message may be older than that of a thread in it."""
AHEAD_SECONDS = 86_400
"""How far after now: a history that is given its end begins with the newest (conversations.history)."""

Take = Callable[[Said], Awaitable[None]]
"""Takes in what was missed, as if it came now, but for the confirmation."""


class _Slot:
    """A place's share in what is asked at once, which it may give back and take again."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._is_taken = False

    async def take(self) -> None:
        if not self._is_taken:
            await self._slots.acquire()
            self._is_taken = True

    def give_back(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._slots.release()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What catching up works with."""

    connection: Connection
    histories: Budget
    """Of `conversations.history`."""
    reader: Reader
    threads: Threads
    lanes: Lanes
    health: Health
    """Counts what is passed over."""
    waits: Waits


class CatchUp:
    """Asks for what was missed, and says when that is done."""

    def __init__(self, inquiry: Inquiry, take: Take) -> None:
        """Give what is found to `take`."""
        self._with = inquiry
        self._take = take
        self._due: dict[Address, datetime] = {}
        self._owed: dict[Address, datetime] = {}
        """What was left out, or could not be asked for: the next gap's end asks from there on, whatever came since."""
        self._running: dict[Address, asyncio.Event] = {}
        self._ready = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._behind = asyncio.Semaphore(MOST_BEHIND)
        self._replies = Budget(TIER_3, inquiry.health.monotonic)
        self._gaps = 0

    def lost(self) -> None:
        """Begin a gap: nothing may be taken in until it is known where to ask."""
        self._gaps += 1
        self._ready.clear()

    def owe(self, place: Address, since: datetime) -> None:
        """Note that something was said there then that is not taken in: it is asked for after the next gap."""
        is_root = place.thread is not None and read_time(place.thread) == since
        place = replace(place, thread=None) if is_root and not is_direct_chat(place.chat) else place
        if place in self._owed or len(self._owed) < MOST_OWED:
            since -= THREAD_BACK
            self._owed[place] = min(since, self._owed.get(place, since))

    async def begin(self) -> None:
        """End a gap: find out where to ask, and see to it that everything is asked."""
        gap = self._gaps
        places = await self._with.threads.look()
        if gap != self._gaps:
            return  # another gap has begun, and is ended by another call
        for place, since in _plan(places, reads_channels=self._with.reader.channels != "off").items():
            self._due[place] = min(since, self._due.get(place, since))
        for place, since in self._owed.items():
            self._due[place] = min(since, self._due.get(place, since))
        self._owed.clear()
        order = list(self._due)
        self._ready.set()
        log.info("catch_up_began", channel="slack", places=len(order))
        for place in order:
            await self._behind.acquire()
            slot = _Slot(self._slots)
            await slot.take()
            if place in self._due and gap == self._gaps:
                self._with.lanes.put(place, partial(self._in_slot, place, slot))
            else:
                slot.give_back()
                self._behind.release()

    async def reach(self, place: Address, slot: _Slot | None = None) -> None:
        """Wait until it is known what was missed in a place, and taken: at once, where nobody has asked yet.

        With a slot, ask only while it is taken, and take in what was found without it: that may take any time.
        """
        await self._ready.wait()
        for asked in (replace(place, thread=None), place) if place.thread is not None else (place,):
            if asked in self._due:
                await self._ask(asked, slot)
            elif asked in self._running:
                if slot is not None:
                    slot.give_back()
                await self._running[asked].wait()

    async def _in_slot(self, place: Address, slot: _Slot) -> None:
        try:
            await self.reach(place, slot)
        finally:
            slot.give_back()
            self._behind.release()

    async def _ask(self, place: Address, slot: _Slot | None) -> None:
        since = self._due.pop(place)
        ended = self._running[place] = asyncio.Event()
        try:
            for said in await self._find_in(slot, place, since):
                await self._take(said)
        finally:
            ended.set()
            if self._running.get(place) is ended:
                del self._running[place]

    async def _find_in(self, slot: _Slot | None, place: Address, since: datetime) -> Sequence[Said]:
        if slot is None:
            return await self._find(place, since)
        await slot.take()
        try:
            return await self._find(place, since)
        finally:
            slot.give_back()

    async def _find(self, place: Address, since: datetime) -> Sequence[Said]:
        """Return what a place's people have said since then, oldest first; nothing where Slack does not tell."""
        try:
            messages = await self._read(place, f"{since.timestamp():.6f}")
        except (SendFailed, Unreachable) as fault:
            if isinstance(fault, Unreachable):
                self.owe(place, since)
            self._with.health.counts["not_caught_up"] += 1
            log.warning("place_not_caught_up", chat=place.chat, thread=place.thread, fault=str(fault))
            return ()
        found = sorted(filter(None, (self._said(message, place, since) for message in messages)), key=_when)
        if len(found) > MOST_MESSAGES:
            self._with.health.counts["missed"] += len(found) - MOST_MESSAGES
            log.warning("catch_up_cut", chat=place.chat, thread=place.thread, count=len(found) - MOST_MESSAGES)
        for message in messages if place.thread is None else ():
            self._add_thread(message, place)
        return found[-MOST_MESSAGES:]

    async def _read(self, place: Address, oldest: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(MOST_REQUESTS):
            answer = await self._request(place, oldest, cursor)
            messages = answer.get("messages")
            found += (
                (message for message in messages if isinstance(message, dict)) if isinstance(messages, list) else ()
            )
            metadata = answer.get("response_metadata")
            cursor = str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
            if not (answer.get("has_more") and cursor):
                return found
        self._with.health.counts["missed_pages"] += 1
        log.warning("catch_up_cut", chat=place.chat, thread=place.thread, requests=MOST_REQUESTS)
        return found

    def _said(self, message: Mapping[str, Any], place: Address, since: datetime) -> Said | None:
        """Read a message of a history: a thread's begins with its root, and a channel's holds what is for others."""
        said = self._with.reader.read_message(message, place.chat)
        if not isinstance(said, Said) or said.kind != "message" or said.at < since:
            return None
        if place.thread is None and not is_direct_chat(place.chat):
            return said if said.names_me or self._with.reader.channels == "all" else None
        return said if said.address == place else None

    def _add_thread(self, root: Mapping[str, Any], place: Address) -> None:
        """Ask for a thread, too, that began in the gap: with somebody's message to the bot, or in direct messages."""
        said = self._with.reader.read_message(root, place.chat)
        is_ours = isinstance(said, Said) and (said.names_me or self._with.reader.channels == "all")
        ts = root.get("ts")
        if not root.get("reply_count") or not isinstance(ts, str) or not (is_ours or is_direct_chat(place.chat)):
            return
        thread = replace(place, thread=ts)
        began = read_time(ts)
        if began is not None and thread not in self._due:
            self._due[thread] = began
            self._with.lanes.put(thread, partial(self.reach, thread))

    async def _request(self, place: Address, oldest: str, cursor: str) -> Mapping[str, Any]:
        """Ask once; wait as long as Slack wants, and try again for a while where it cannot be reached."""
        call = _build_call(place, oldest, cursor)
        budget = self._with.histories if place.thread is None else self._replies
        tries = 0
        while True:
            try:
                return await self._with.connection.call(call, budget)
            except RateLimited as fault:
                await asyncio.sleep(fault.retry_after_seconds)
            except Unreachable:
                if tries >= MOST_TRIES:
                    raise
                await asyncio.sleep(self._with.waits.network.after(tries))
                tries += 1


def _build_call(place: Address, oldest: str, cursor: str) -> Callable[[AsyncWebClient], Awaitable[Any]]:
    page: dict[str, Any] = {"oldest": oldest, "limit": PAGE, **({"cursor": cursor} if cursor else {})}
    if place.thread is not None:
        thread = place.thread
        return lambda client: client.conversations_replies(channel=place.chat, ts=thread, **page)
    latest = f"{time.time() + AHEAD_SECONDS:.6f}"
    return lambda client: client.conversations_history(channel=place.chat, latest=latest, **page)


def _when(said: Said) -> datetime:
    return said.at


def _plan(places: Sequence[KnownPlace], *, reads_channels: bool) -> dict[Address, datetime]:
    """Return from when on each place is asked for, and each channel, in the order of `places`."""
    plan: dict[Address, datetime] = {}
    for known in places:
        place, last = known.address, known.last_sent_at.astimezone(UTC)
        is_direct = is_direct_chat(place.chat)
        if not is_direct and reads_channels:
            plan.setdefault(replace(place, thread=None), last - CHANNEL_BACK)
        if is_direct or (reads_channels and place.thread is not None):
            plan[place] = last - THREAD_BACK
    return plan
