"""This module fetches the messages that were missed while the bot was not connected, oldest first in each channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

import discord
import structlog

from channels.base import FromPerson, KnownPlace, Places
from channels.discord.connection import Client, Connection
from channels.discord.faults import UNREADABLE, is_gone
from channels.discord.offers import Heard, Offers, persevere
from channels.discord.parse import Ignored, Reader
from channels.discord.rooms import Room, Rooms, room_id
from channels.discord.waits import Waits
from channels.errors import NotAccepted, SendFailed
from channels.health import Health

__all__ = ["MOST_PAGES", "PAGE_MESSAGES", "Past", "find_gaps"]

log = structlog.get_logger()

T = TypeVar("T")

PAGE_MESSAGES = 100
"""The largest page (https://docs.discord.com/developers/resources/message#get-channel-messages)."""

MOST_PAGES = 10
MOST_PAGES_DIRECT = 100
"""How many pages are read of a place in a server, and of a private channel. If there are more, the oldest page is read
and the newest ones: the people who have waited longest, and what people still look at."""

NOT_SHOWN = "what is missed here cannot be fetched: give the bot Read Message History"

LOOK_BACK = timedelta(seconds=5)
"""How far before the last known message fetching begins, since ids follow the clocks of many machines. The daemon
recognises what it gets twice."""


_Numbered = tuple[int, FromPerson]
"""A message id, and what is to be taken in of that message."""


@dataclass(frozen=True, slots=True)
class _Page:
    """Raw messages with their ids, the oldest first; `is_full`: there may be more."""

    raws: Sequence[tuple[int, Any]]
    is_full: bool


class Past:
    """Fetches missed messages for one bot, and offers them to the daemon."""

    def __init__(
        self, connection: Connection, reader: Reader, rooms: Rooms, offers: Offers, health: Health, waits: Waits
    ) -> None:
        """Offer what is found by `offers`."""
        self._connection = connection
        self._reader = reader
        self._rooms = rooms
        self._offers = offers
        self._health = health
        self._waits = waits
        self._stuck: dict[int, str] = {}
        """Channels that cannot be fetched for now, and why."""
        self._blank: set[int] = set()
        """Channels for which the missing permission was logged already."""

    @property
    def sentence(self) -> str:
        """What is wrong, as a sentence for the operator; empty: nothing."""
        if not self._stuck:
            return ""
        where = "one place" if len(self._stuck) == 1 else f"{len(self._stuck)} places"
        return f"what was missed in {where} cannot be fetched yet: {next(iter(self._stuck.values()))}"

    async def fetch(self, channel_id: int, after: int) -> bool:
        """Fetch and hand over the messages of a channel after a message id; False: the channel may not be read now."""
        try:
            await self._fetch(channel_id, after)
        except SendFailed as fault:
            self._health.counts["place shut"] += 1
            log.warning("place_not_readable", channel="discord", place=channel_id, fault=str(fault))
            return is_gone(fault)
        finally:
            self._stuck.pop(channel_id, None)
        return True

    async def _fetch(self, channel_id: int, after: int) -> None:
        page = await self._page(channel_id, after=after)
        room = await self._persevere(channel_id, partial(self._rooms.find, channel_id))
        if not page.raws:
            await self._say_why_nothing(channel_id, room)
            return
        await self._hand_over(channel_id, room, await self._read_all(channel_id, room, page.raws))
        if page.is_full:
            await self._hand_over(channel_id, room, await self._newer(channel_id, room, page.raws[-1][0]))

    async def _persevere(self, channel_id: int, call: Callable[[], Awaitable[T]]) -> T:
        """Retry a call until Discord can be reached. Raises SendFailed on a refusal."""

        def note(fault: str) -> None:
            self._stuck[channel_id] = fault

        answer = await persevere(call, self._waits, note)
        self._stuck.pop(channel_id, None)
        return answer

    async def _say_why_nothing(self, channel_id: int, room: Room) -> None:
        """Log, once for each place, that the bot may not read its history: Discord returns an empty one then."""
        if channel_id not in self._blank and not await self._rooms.shows_history(room):
            self._blank.add(channel_id)
            self._health.counts["history not shown"] += 1
            log.warning("history_not_shown", channel="discord", place=channel_id, reason=NOT_SHOWN)

    async def _newer(self, channel_id: int, room: Room, after: int) -> list[_Numbered]:
        """Return what was written after a message, oldest first; if it is too much, only the newest pages of it.

        It is read from the newest backwards, and returned when all of it is there: no newer message may be on disk
        before the older ones if the process ends.
        """
        found: list[_Numbered] = []
        before: int | None = None
        most_pages = MOST_PAGES_DIRECT if room.is_direct else MOST_PAGES
        for _ in range(most_pages - 1):
            page = await self._page(channel_id, before=before)
            raws = [(number, raw) for number, raw in page.raws if number > after]
            found = await self._read_all(channel_id, room, raws) + found
            if not page.is_full or len(raws) < len(page.raws) or not raws:
                return found
            before = raws[0][0]
        self._health.counts["catch-up cut"] += 1
        log.warning("catch_up_cut", channel="discord", place=channel_id, messages=most_pages * PAGE_MESSAGES)
        return found

    async def _page(self, channel_id: int, *, after: int | None = None, before: int | None = None) -> _Page:
        """Return the oldest messages after an id, or the newest before one."""

        async def ask() -> _Page:
            return await self._connection.call(
                lambda client: _ask_for_page(client, channel_id, after=after, before=before)
            )

        return await self._persevere(channel_id, ask)

    async def _hand_over(self, channel_id: int, room: Room, found: Sequence[_Numbered]) -> None:
        for number, content in found:
            self._health.counts["caught up"] += 1
            await self._offers.offer(Heard(channel_id, partial(Room.place, inbound=content), room, number))

    async def _read_all(self, channel_id: int, room: Room, raws: Sequence[tuple[int, Any]]) -> list[_Numbered]:
        """Parse a page, and return what of it is to be taken in."""
        client = await self._connection.log_in()
        if room.guild_id is not None and any(_names_roles(raw) for _, raw in raws):
            await self._rooms.knows_guild(room.guild_id)
        found: list[_Numbered] = []
        for number, raw in raws:
            content = self._read(client, channel_id, room, raw)
            if isinstance(content, Ignored):
                self._health.counts[content.reason] += 1
            else:
                found.append((number, content))
        return found

    def _read(self, client: Client, channel_id: int, room: Room, raw: Any) -> FromPerson | Ignored:
        channel = client.get_partial_messageable(channel_id, guild_id=room.guild_id)
        try:
            message = discord.Message(state=client._connection, channel=cast(Any, channel), data=raw)
        except UNREADABLE:
            return Ignored("unparsable")
        return self._reader.read_message(message, is_direct=room.is_direct)


def _names_roles(raw: Any) -> bool:
    return isinstance(raw, dict) and bool(raw.get("mention_roles"))


async def _ask_for_page(client: Client, channel_id: int, *, after: int | None, before: int | None) -> _Page:
    """Ask for a page. Raises TypeError for an answer that is none: only a real page shows that nothing was missed."""
    raws: Any = await client.http.logs_from(channel_id, PAGE_MESSAGES, before=before, after=after)
    if not isinstance(raws, list):
        raise TypeError(type(raws).__name__)
    numbered = sorted(_numbered(raws), key=lambda message: message[0])
    return _Page(numbered, is_full=len(raws) >= PAGE_MESSAGES)


def _numbered(raws: list[Any]) -> Iterator[tuple[int, Any]]:
    """Yield each message with its id; one without a readable id is left out."""
    for raw in raws:
        with suppress(*UNREADABLE):
            yield int(raw["id"]), raw


async def find_gaps(places: Places, waits: Waits) -> dict[int, int]:
    """Return, for each channel where people were heard, the message id to fetch from; the last heard comes first."""
    known = await _ask(places, waits)
    gaps: dict[int, int] = {}
    for place in known:
        try:
            after = discord.utils.time_snowflake(place.last_sent_at - LOOK_BACK)
            gaps[room_id(place.address)] = max(after, 0)
        except UNREADABLE:
            log.warning("place_not_usable", channel="discord", place=place.address.chat)
    return gaps


async def _ask(places: Places, waits: Waits) -> Sequence[KnownPlace]:
    tries = 0
    while True:
        try:
            return await places()
        except NotAccepted as fault:
            log.warning("places_not_known", channel="discord", fault=str(fault))
            await asyncio.sleep(waits.refused.after(tries))
            tries += 1
