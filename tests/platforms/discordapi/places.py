"""This module holds people, channels of guilds, threads and direct messages, and the bot's permissions there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tests.platforms.discordapi.answers import Refused, missing_access, missing_permissions, unknown_channel
from tests.platforms.discordapi.snowflakes import Snowflakes

BOT: Final = 900_000_000_000_000_100
"""The bot's user id, which is its application's id too."""
ADA: Final = 700_000_000_000_000_007
BOB: Final = 700_000_000_000_000_008

Kind = Literal["dm", "text", "thread"]
Access = Literal["full", "live", "read", "none"]
"""What the bot may do in a guild's channel: all that it needs, all but see what was written before, read alone, or not
even see it."""

DM_BEYOND_PERSON: Final = 100_000_000_000_000_000


def dm_of(person: int) -> int:
    """Return the id of the bot's direct messages with a person."""
    return person + DM_BEYOND_PERSON


ADA_DM: Final = dm_of(ADA)
BOB_DM: Final = dm_of(BOB)


@dataclass(slots=True)
class Person:
    """Who writes: a human, unless it is another bot."""

    id: int
    name: str
    is_bot: bool = False
    takes_messages: bool = True
    """Whether the bot can write to them."""


@dataclass(slots=True)
class Channel:
    """One place to write."""

    id: int
    kind: Kind
    name: str = ""
    person: int = 0
    """With whom, where these are direct messages."""
    guild: int = 0
    parent: int = 0
    """The channel that a thread belongs to."""
    owner: int = 0
    """Who began a thread."""
    access: Access = "full"
    is_archived: bool = False
    is_locked: bool = False


@dataclass(slots=True)
class Guild:
    """A server with channels, which the bot is in."""

    id: int
    name: str


class Places:
    """All of them."""

    def __init__(self, snowflakes: Snowflakes) -> None:
        """Know Ada and Bob, who have not written yet."""
        self.people: dict[int, Person] = {}
        self.channels: dict[int, Channel] = {}
        self.guilds: dict[int, Guild] = {}
        self._snowflakes = snowflakes
        self.name_person(BOT, "agentd", is_bot=True)
        self.name_person(ADA, "ada")
        self.name_person(BOB, "bob")

    def person(self, person_id: int) -> Person:
        """Return a person, with a name made up if nobody has given one."""
        return self.people.setdefault(person_id, Person(person_id, f"person{person_id}"))

    def name_person(self, person_id: int, name: str, *, is_bot: bool = False) -> Person:
        """Name a person, for every message from here on; `is_bot` makes it another bot."""
        self.people[person_id] = Person(person_id, name, is_bot)
        return self.people[person_id]

    def open_dm(self, person_id: int) -> int:
        """Return the id of the direct messages with a person, which exist from then on."""
        channel_id = dm_of(self.person(person_id).id)
        self.channels.setdefault(channel_id, Channel(channel_id, "dm", person=person_id))
        return channel_id

    def add_guild(self, name: str) -> Guild:
        """Take the bot into a new guild."""
        guild = Guild(self._snowflakes.next(), name)
        self.guilds[guild.id] = guild
        return guild

    def add_channel(self, guild: int, name: str) -> Channel:
        """Add a channel to a guild."""
        channel = Channel(self._snowflakes.next(), "text", name, guild=guild)
        self.channels[channel.id] = channel
        return channel

    def add_thread(self, parent: int, name: str, owner: int, message: int | None) -> Channel:
        """Begin a thread in a channel; one that hangs on a message has the message's id."""
        above = self.channels[parent]
        thread_id = self._snowflakes.next() if message is None else message
        thread = Channel(thread_id, "thread", name, guild=above.guild, parent=parent, owner=owner)
        self.channels[thread_id] = thread
        return thread

    def threads_of(self, guild: int) -> list[Channel]:
        """Return the threads of a guild that are not archived, where the bot sees them."""
        return [
            channel
            for channel in self.channels.values()
            if channel.guild == guild and channel.kind == "thread" and not channel.is_archived and self.sees(channel)
        ]

    def wake(self, channel: Channel) -> bool:
        """Open an archived thread that somebody writes in, and tell whether it was one."""
        was_archived, channel.is_archived = channel.is_archived, False
        return was_archived

    def access(self, channel: Channel) -> Access:
        """Return what the bot may do; in a thread, what it may do in its channel."""
        return self.channels[channel.parent].access if channel.kind == "thread" else channel.access

    def sees(self, channel: Channel) -> bool:
        """Tell whether the bot hears of what is written there."""
        return self.access(channel) != "none"

    def find(self, channel_id: int) -> Channel:
        """Return a channel that the bot can read; raises Refused."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise unknown_channel()
        if not self.sees(channel):
            raise missing_access()
        return channel

    def find_to_write(self, channel_id: int) -> Channel:
        """Return a channel that the bot can write in; raises Refused."""
        channel = self.find(channel_id)
        if channel.kind == "dm" and not self.person(channel.person).takes_messages:
            raise Refused(403, 50007, "Cannot send messages to this user")
        if self.access(channel) == "read":
            raise missing_permissions()
        if channel.is_archived and channel.is_locked:
            raise Refused(400, 50083, "Thread is archived")
        return channel
