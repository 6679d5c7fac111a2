"""What was written while nobody listened: it is fetched, place by place, oldest first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, cast

import discord
import structlog

from channels.base import FromPerson, KnownPlace, Places
from channels.discord.connection import Client, Connection
from channels.discord.faults import UNREADABLE
from channels.discord.offers import Heard, Offers
from channels.discord.parse import Ignored, Reader
from channels.discord.rooms import Room, Rooms, room_id
from channels.discord.waits import Waits
from channels.errors import NotAccepted, SendFailed
from channels.health import Health

__all__ = ["Past", "find_gaps"]

log = structlog.get_logger()

PAGE_MESSAGES = 100
"""The most that Discord gives at once (https://docs.discord.com/developers/resources/message#get-channel-messages)."""

LOOK_BACK = timedelta(seconds=5)
"""Ids follow the clocks of many machines. What is found twice is recognised by the daemon."""


class Past:
    """Fetches for one bot."""

    def __init__(self, connection: Connection, reader: Reader, rooms: Rooms, offers: Offers, health: Health) -> None:
        """Hand what is found to `offers`."""
        self._connection = connection
        self._reader = reader
        self._rooms = rooms
        self._offers = offers
        self._health = health

    async def fetch(self, channel_id: int, after: int) -> None:
        """Fetch and hand over what stands in a channel after a message's id. A place that is shut is passed over."""
        try:
            while True:
                raws = await self._offers.persevere(partial(self._page, channel_id, after))
                if raws:
                    room = await self._offers.persevere(partial(self._rooms.find, channel_id))
                    await self._hand_over(channel_id, room, raws)
                    after = max(number for number, _ in raws)
                if len(raws) < PAGE_MESSAGES:
                    return
        except SendFailed as fault:
            self._health.counts["place shut"] += 1
            log.warning("place_not_readable", channel="discord", place=channel_id, fault=str(fault))

    async def _page(self, channel_id: int, after: int) -> list[tuple[int, Any]]:
        """Return the oldest messages after an id, with their ids, the oldest first."""
        raws = await self._connection.call(lambda client: _ask_for_page(client, channel_id, after))
        return sorted(_numbered(raws), key=lambda numbered: numbered[0])

    async def _hand_over(self, channel_id: int, room: Room, raws: Sequence[tuple[int, Any]]) -> None:
        client = await self._connection.log_in()
        if room.guild_id is not None and any(_names_roles(raw) for _, raw in raws):
            await self._rooms.knows_guild(room.guild_id)
        for number, raw in raws:
            content = self._read(client, channel_id, room, raw)
            if isinstance(content, Ignored):
                self._health.counts[content.reason] += 1
                continue
            self._health.counts["caught up"] += 1
            await self._offers.offer(Heard(channel_id, partial(Room.place, inbound=content), room, number))

    def _read(self, client: Client, channel_id: int, room: Room, raw: Any) -> FromPerson | Ignored:
        channel = client.get_partial_messageable(channel_id, guild_id=room.guild_id)
        try:
            message = discord.Message(state=client._connection, channel=cast(Any, channel), data=raw)
        except UNREADABLE:
            return Ignored("unparsable")
        return self._reader.read_message(message, is_direct=room.is_direct)


def _names_roles(raw: Any) -> bool:
    return isinstance(raw, dict) and bool(raw.get("mention_roles"))


async def _ask_for_page(client: Client, channel_id: int, after: int) -> list[Any]:
    """Return a page. Raises TypeError for what is none: that nothing was missed is known from a page alone."""
    raws: Any = await client.http.logs_from(channel_id, PAGE_MESSAGES, after=after)
    if not isinstance(raws, list):
        raise TypeError(type(raws).__name__)
    return raws


def _numbered(raws: list[Any]) -> Iterator[tuple[int, Any]]:
    """Give each message its id; what has none cannot be told from what was taken in."""
    for raw in raws:
        with suppress(*UNREADABLE):
            yield int(raw["id"]), raw


async def find_gaps(places: Places, waits: Waits) -> dict[int, int]:
    """Return where people were heard, the last place first, and from which message's id on nothing is on disk."""
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
