"""This module reads Discord's gateway events, and queues messages, edits, deletions and commands in lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import discord
import structlog

from channels.base import FromPerson
from channels.discord.connection import Connection
from channels.discord.lanes import Lanes
from channels.discord.menu import answer_command
from channels.discord.offers import Heard
from channels.discord.parse import Ignored, Reader, command_text
from channels.discord.rooms import Room, room_of
from channels.discord.waits import Waits
from channels.health import Health

__all__ = ["Intake"]

log = structlog.get_logger()

WITHHELD = (
    "Discord does not show this bot what is written in servers: switch on Message Content Intent (the application at "
    "https://discord.com/developers/applications, Bot, Privileged Gateway Intents)"
)

NOT_HERE = "I do not listen here: write to me in private."
TOO_MUCH = "Too much of what was written here still waits, so that I have not taken this: please use it again later."
"""The two answers to a command that is not taken."""

Interaction = discord.Interaction[discord.Client]


@dataclass(frozen=True, slots=True)
class Way:
    """What the intake passes events on to."""

    reader: Reader
    lanes: Lanes
    on_session: Callable[[], None]
    """Called when a session begins, before any of its events: whatever was said before it has been missed."""
    on_resume: Callable[[], None]
    on_guild: Callable[[], None]
    """Called when a server's channels and roles have become known."""


class Intake:
    """Takes the gateway's events one after another, without awaiting anything."""

    def __init__(
        self, way: Way, connection: Connection, health: Health, tasks: asyncio.TaskGroup, waits: Waits
    ) -> None:
        """Pass events on by `way`; answer commands in tasks of `tasks`."""
        self._way = way
        self._connection = connection
        self._health = health
        self._tasks = tasks
        self._waits = waits
        self.is_withheld = False
        """Whether Discord withholds the content of messages, since the bot lacks Message Content Intent."""

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event, by the name that discord.py gives it."""
        match event, args:
            case "connect", _:
                self._way.on_session()
            case "guild_available" | "guild_join", _:
                self._way.on_guild()
            case "resumed", _:
                self._way.on_resume()
            case "message", (message,):
                self._message(message)
            case "raw_message_edit", (edit,):
                self._edit(edit.message)
            case "raw_message_delete", (gone,):
                self._delete(gone.message_id, gone.channel_id, gone.guild_id)
            case "raw_bulk_message_delete", (gone,):
                for message_id in sorted(gone.message_ids):
                    self._delete(message_id, gone.channel_id, gone.guild_id)
            case "interaction", (interaction,):
                self._command(interaction)

    def _message(self, message: discord.Message) -> None:
        room = room_of(message.channel)
        content = self._way.reader.read_message(message, is_direct=room is not None and room.is_direct)
        if isinstance(content, Ignored):
            self._pass_over(content)
        else:
            if room is not None and room.guild_id is not None and not self._way.reader.is_named(message):
                self.is_withheld = False
            self._way.lanes.put(
                Heard(message.channel.id, partial(Room.place, inbound=content), room, message_id=message.id)
            )

    def _edit(self, message: discord.Message) -> None:
        room = room_of(message.channel)
        content = self._way.reader.read_edit(message, is_direct=room is not None and room.is_direct)
        if isinstance(content, Ignored):
            self._pass_over(content)
        else:
            self._way.lanes.put(
                Heard(message.channel.id, partial(Room.place, inbound=content), room, changes=message.id)
            )

    def _delete(self, message_id: int, channel_id: int, guild_id: int | None) -> None:
        """Queue a deletion; the author is remembered, or else is the one person of a private channel."""
        reader, when = self._way.reader, discord.utils.utcnow()
        author = reader.author_of(message_id)
        if author is not None:
            gone = reader.read_delete(message_id, channel_id, author, when)
            self._way.lanes.put(Heard(channel_id, partial(Room.place, inbound=gone), changes=message_id))
        elif not reader.knows(message_id) and guild_id is None:

            def place(room: Room) -> FromPerson | None:
                if room.person is None:
                    return None
                return room.place(reader.read_delete(message_id, channel_id, room.person, when))

            self._way.lanes.put(Heard(channel_id, place, changes=message_id))
        else:
            self._health.counts["deleted unknown"] += 1

    def _command(self, interaction: Interaction) -> None:
        if interaction.type is not discord.InteractionType.application_command:
            self._pass_over(Ignored("interaction"))
            return
        content, accepted = self._way.reader.read_command(interaction), asyncio.Event()
        line = self._take(interaction, content, accepted)
        hidden = isinstance(content, Ignored) or not content.is_direct
        answering = answer_command(self._connection, interaction, line, accepted, self._waits, hidden=hidden)
        self._tasks.create_task(answering, name="discord command")

    def _take(self, interaction: Interaction, content: FromPerson | Ignored, accepted: asyncio.Event) -> str:
        """Queue a command and return the answer to it; `accepted` is set at once if it is not taken."""
        if isinstance(content, Ignored):
            self._pass_over(content)
            line = NOT_HERE
        else:
            room = room_of(interaction.channel)
            command = Heard(interaction.channel_id or 0, partial(Room.place, inbound=content), room, accepted=accepted)
            if self._way.lanes.put(command):
                return command_text(interaction)
            line = TOO_MUCH
        accepted.set()
        return line

    def _pass_over(self, ignored: Ignored) -> None:
        if ignored.reason == "own":
            return
        self._health.counts[ignored.reason] += 1
        if ignored.reason == "unaddressed":
            self.is_withheld = False
        if ignored.reason == "withheld" and not self.is_withheld:
            self.is_withheld = True
            log.error("messages_withheld", channel="discord", reason=WITHHELD)
