"""This module decides which events a session gets by its intents, and how much it sees of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.platforms.discordapi import intents
from tests.platforms.discordapi.gateway import Gateway, Written
from tests.platforms.discordapi.history import History, Shown
from tests.platforms.discordapi.payloads import write_channel, write_guild, write_user
from tests.platforms.discordapi.places import BOT, Channel, Guild, Places
from tests.platforms.discordapi.sessions import Session

API_VERSION = 10


class News:
    """All kinds of events."""

    def __init__(self, places: Places, history: History, gateway: Gateway) -> None:
        """Tell of these places."""
        self._places = places
        self._history = history
        self._gateway = gateway

    def greet(self, session: Session) -> None:
        """Tell a new session who it is and what guilds it is in; the guilds themselves follow."""
        flags = intents.CONTENT_FLAG if intents.MESSAGE_CONTENT in self._gateway.allowed else 0
        guilds = list(self._places.guilds.values())
        ready = {
            "v": API_VERSION,
            "user": write_user(self._places.person(BOT)) | {"mfa_enabled": False, "verified": True, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "resume_gateway_url": f"{self._gateway.url}/resume",
            "shard": [0, 1],
            "application": {"id": str(BOT), "flags": flags},
        }
        self._gateway.tell_one(session, "READY", ready)
        for guild in guilds:
            if session.intents & intents.GUILDS:
                self._gateway.tell_one(session, "GUILD_CREATE", write_guild(self._places, guild))

    def written(self, shown: Shown) -> None:
        """Tell of a new message."""
        self._gateway.tell("MESSAGE_CREATE", self._of_message(shown))

    def changed(self, shown: Shown) -> None:
        """Tell of a message that was changed."""
        self._gateway.tell("MESSAGE_UPDATE", self._of_message(shown))

    def removed(self, shown: Shown) -> None:
        """Tell of a message that is gone."""
        self._removed("MESSAGE_DELETE", {"id": str(shown.id)}, shown.channel)

    def purged(self, channel: int, messages: Sequence[int]) -> None:
        """Tell of messages of a channel that are gone at once."""
        self._removed("MESSAGE_DELETE_BULK", {"ids": [str(message) for message in messages]}, channel)

    def _removed(self, kind: str, event: dict[str, Any], where: int) -> None:
        channel = self._places.channels[where]
        event["channel_id"] = str(where)
        event |= {"guild_id": str(channel.guild)} if channel.guild else {}
        self._gateway.tell(kind, lambda given: event if self._hears_messages(channel, given) else None)

    def guild(self, guild: Guild) -> None:
        """Tell that the bot was taken into a guild."""
        self._gateway.tell("GUILD_CREATE", _of_guilds(write_guild(self._places, guild)))

    def left_guild(self, guild: Guild) -> None:
        """Tell that the bot was removed from a guild."""
        self._gateway.tell("GUILD_DELETE", _of_guilds({"id": str(guild.id)}))

    def channel(self, channel: Channel, kind: str) -> None:
        """Tell of a channel or thread, by a kind of event, if the bot sees it."""
        if channel.kind != "dm" and self._places.sees(channel):
            self._gateway.tell(kind, _of_guilds(write_channel(self._places, channel)))

    def thread_began(self, thread: Channel) -> None:
        """Tell of a new thread."""
        if self._places.sees(thread):
            event = write_channel(self._places, thread) | {"newly_created": True}
            self._gateway.tell("THREAD_CREATE", _of_guilds(event))

    def thread_deleted(self, thread: Channel) -> None:
        """Tell of a thread that is gone."""
        ids = {"id": thread.id, "guild_id": thread.guild, "parent_id": thread.parent}
        event: dict[str, Any] = {name: str(value) for name, value in ids.items()}
        self._gateway.tell("THREAD_DELETE", _of_guilds({**event, "type": 11}))

    def _of_message(self, shown: Shown) -> Written:
        channel = self._places.channels[shown.channel]

        def write(given: int) -> Mapping[str, Any] | None:
            if not self._hears_messages(channel, given):
                return None
            return self._history.as_event(shown, reads_all=bool(given & intents.MESSAGE_CONTENT))

        return write

    def _hears_messages(self, channel: Channel, given: int) -> bool:
        if channel.kind == "dm":
            return bool(given & intents.DIRECT_MESSAGES)
        return bool(given & intents.GUILD_MESSAGES) and self._places.sees(channel)


def _of_guilds(event: Mapping[str, Any]) -> Written:
    return lambda given: event if given & intents.GUILDS else None
