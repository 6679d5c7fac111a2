"""This module finds out what a channel id stands for: a private channel, a channel of a server, or a thread in one.

Most of Discord's events tell the id only. The rest comes from the client's cache, or from a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import discord

from channels.base import Address, Author, FromPerson
from channels.discord.connection import Client, Connection
from channels.discord.faults import UNREADABLE
from channels.discord.texts import whole
from channels.discord.waits import Waits

__all__ = ["Room", "Rooms", "is_with_bot", "room_id", "room_of"]

MOST_ROOMS = 1_000
"""How many rooms are remembered; the oldest are forgotten first, which costs another call."""

_PRIVATE = discord.ChannelType.private.value
_THREADS = (
    discord.ChannelType.news_thread.value,
    discord.ChannelType.public_thread.value,
    discord.ChannelType.private_thread.value,
)


@dataclass(frozen=True, slots=True)
class Room:
    """A channel or thread; `is_direct`: only one person and the bot are in it."""

    chat: str
    thread: str | None = None
    is_direct: bool = False
    guild_id: int | None = None
    person: Author | None = None
    """The one person of a private channel, if Discord told."""

    def place(self, inbound: FromPerson) -> FromPerson:
        """Return an inbound value with this room as its address."""
        at = inbound.address
        return replace(
            inbound, address=Address(at.channel, at.account, self.chat, self.thread), is_direct=self.is_direct
        )


class Rooms:
    """Finds rooms by channel id, and remembers them."""

    def __init__(self, connection: Connection, waits: Waits) -> None:
        """Ask by `connection`."""
        self._connection = connection
        self._waits = waits
        self._news = asyncio.Event()
        self._asked: dict[int, Room] = {}

    async def find(self, channel_id: int) -> Room:
        """Return a channel's room. Raises SendFailed if Discord refuses, Unreachable if it cannot be reached."""
        room = self._asked.get(channel_id)
        if room is None:
            room = await self._connection.call(lambda client: _find(client, channel_id))
        self._asked[channel_id] = room
        while len(self._asked) > MOST_ROOMS:
            del self._asked[next(iter(self._asked))]
        return room

    def note_guild(self) -> None:
        """Note that the client knows one more server, with its roles."""
        self._news.set()

    async def knows_guild(self, guild_id: int) -> None:
        """Wait, for a time, until the client knows a server's roles: after a start they come one by one."""
        client = await self._connection.log_in()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._waits.guild_seconds):
                while not _is_known(client, guild_id):
                    self._news.clear()
                    await self._news.wait()

    async def shows_history(self, room: Room) -> bool:
        """Tell whether the bot has the permission Read Message History in a room; True also if that is not known.

        Without it, Discord returns an empty history
        (https://docs.discord.com/developers/resources/message#get-channel-messages).
        """
        if room.guild_id is None:
            return True
        await self.knows_guild(room.guild_id)
        channel = (await self._connection.log_in()).get_channel(int(room.chat))
        with suppress(*UNREADABLE):
            if isinstance(channel, discord.abc.GuildChannel) and channel.guild.me is not None:
                return channel.permissions_for(channel.guild.me).read_message_history
        return True


def _is_known(client: Client, guild_id: int) -> bool:
    guild = client.get_guild(guild_id)
    return guild is not None and not guild.unavailable


def room_of(channel: object) -> Room | None:
    """Return the room of a channel object of discord.py; None for one of an unknown kind."""
    match channel:
        case discord.DMChannel():
            return Room(str(channel.id), is_direct=True)
        case discord.Thread():
            return Room(str(channel.parent_id), str(channel.id), guild_id=channel.guild.id)
        case discord.abc.GuildChannel():
            return Room(str(channel.id), guild_id=channel.guild.id)
        case _:
            return None


def is_with_bot(interaction: discord.Interaction[discord.Client]) -> bool:
    """Tell whether a command was used in the private channel of its user and the bot.

    People who installed the app for themselves can use it among other people, too. If Discord does not say what kind of
    place it is, the list of its people decides.
    """
    if interaction.guild_id is not None or interaction.context.private_channel:
        return False
    channel = interaction.channel
    if interaction.context.dm_channel or not isinstance(channel, discord.DMChannel):
        return interaction.context.dm_channel
    return all(person.id == interaction.user.id for person in channel.recipients)


def room_id(address: Address) -> int:
    """Return the id of an address's thread, or else channel. Raises ValueError if it is no number."""
    return int(address.thread or address.chat)


async def _find(client: Client, channel_id: int) -> Room:
    known = client.get_channel(channel_id)
    room = room_of(known) if isinstance(known, discord.abc.GuildChannel | discord.Thread) else None
    return room or _parse_channel(await client.http.get_channel(channel_id), channel_id)


def _parse_channel(raw: Mapping[str, Any], channel_id: int) -> Room:
    kind = raw["type"]
    if kind == _PRIVATE:
        person = next(iter(raw.get("recipients") or ()), None)
        author = Author(str(int(person["id"])), whole(str(person.get("username", "")))) if person else None
        return Room(str(channel_id), is_direct=True, person=author)
    guild_id = int(raw["guild_id"]) if raw.get("guild_id") else None
    if kind in _THREADS:
        return Room(str(int(raw["parent_id"])), str(channel_id), guild_id=guild_id)
    return Room(str(channel_id), guild_id=guild_id)
