"""This module lets people use slash commands, and takes the bot's answers, the first within 3 seconds.

https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.platforms.discordapi.answers import Refused, outside, unknown_message
from tests.platforms.discordapi.commands import Commands
from tests.platforms.discordapi.gateway import Gateway
from tests.platforms.discordapi.history import History, Shown
from tests.platforms.discordapi.methods import Perform
from tests.platforms.discordapi.news import News
from tests.platforms.discordapi.payloads import ORDINARY, write_channel, write_member, write_user
from tests.platforms.discordapi.places import ADA, BOT, Places
from tests.platforms.discordapi.routes import (
    CALLBACK,
    COMMANDS,
    DELETE_ORIGINAL,
    EDIT_ORIGINAL,
    FOLLOW_UP,
    ORIGINAL,
    SET_COMMANDS,
)
from tests.platforms.discordapi.snowflakes import Snowflakes
from tests.platforms.discordapi.writing import EPHEMERAL, LOADING, SUPPRESS_EMBEDS, read_content

ANSWER_SECONDS: Final = 3.0
TOKEN_SECONDS: Final = 900.0
"""How long the bot can add to its answer."""

MESSAGE, DEFERRED = 4, 5
"""Kinds of answers: a message, or the promise of one."""
COMMAND_ANSWER: Final = 20


@dataclass(slots=True)
class Interaction:
    """One use of a command."""

    id: int
    token: str
    name: str
    author: int
    channel: int
    asked_at: float
    """On the server's clock."""
    answered_after: float | None = None
    """Seconds until the bot first tried to answer, in time or not; None while it has not."""
    shown: Shown | None = None
    """The answer; one that is only for its author stands in no channel."""

    @property
    def is_in_time(self) -> bool:
        """Whether the bot answered in time; the person sees otherwise that it did not respond."""
        return self.answered_after is not None and self.answered_after <= ANSWER_SECONDS

    @property
    def text(self) -> str | None:
        """What the answer says; None while there is none."""
        return None if self.shown is None or self.shown.is_deleted else self.shown.text

    @property
    def is_ephemeral(self) -> bool:
        """Whether the answer is only for who used the command."""
        return self.shown is not None and bool(self.shown.flags & EPHEMERAL)


class Interactions:
    """All of them, and the commands that they use."""

    def __init__(self, places: Places, history: History, news: News, gateway: Gateway, snowflakes: Snowflakes) -> None:
        """Act in these places."""
        self.commands = Commands(snowflakes)
        self.all: dict[int, Interaction] = {}
        self.clock: Callable[[], float] = time.monotonic
        self._places = places
        self._history = history
        self._news = news
        self._gateway = gateway
        self._snowflakes = snowflakes
        self._perform: Mapping[str, Perform] = {
            COMMANDS: self._list_commands,
            SET_COMMANDS: self._set_commands,
            CALLBACK: self._answer,
            FOLLOW_UP: self._follow_up,
            ORIGINAL: self._show_original,
            EDIT_ORIGINAL: self._edit_original,
            DELETE_ORIGINAL: self._delete_original,
        }

    def perform(self, route: str, params: Mapping[str, str], body: Any) -> Any:
        """Let a call have its effect, and return the body of its answer; raises Refused."""
        return self._perform[route](params, body)

    def interact(
        self,
        name: str,
        options: Mapping[str, object] | None = None,
        *,
        channel: int | None = None,
        author: int = ADA,
        more: Mapping[str, object] | None = None,
    ) -> int:
        """Let a person use a command, in a channel or in their direct messages, and return the interaction's id.

        `more` is told of it besides, or instead; None: nothing.
        Raises LookupError where the bot has not registered it: a person could not choose it.
        """
        chosen = self.commands.choose(name, options or {})
        where = self._places.open_dm(author) if channel is None else channel
        made = Interaction(self._snowflakes.next(), secrets.token_hex(30), name, author, where, self.clock())
        self.all[made.id] = made
        told = self._write(made, chosen) | dict(more or {})
        event = {key: value for key, value in told.items() if value is not None}
        self._gateway.tell("INTERACTION_CREATE", lambda _intents: event)
        return made.id

    def _write(self, made: Interaction, chosen: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._places.channels[made.channel]
        person = self._places.person(made.author)
        event: dict[str, Any] = {
            "id": str(made.id),
            "application_id": str(BOT),
            "type": 2,
            "token": made.token,
            "version": 1,
            "data": dict(chosen),
            "channel_id": str(channel.id),
            "channel": write_channel(self._places, channel, self._history.last_of(channel.id)),
            "locale": "en-US",
            "app_permissions": str(ORDINARY),
            "entitlements": [],
            "attachment_size_limit": 10 << 20,
            "context": 0 if channel.guild else 1,
            "authorizing_integration_owners": {"0": str(channel.guild)},
        }
        if not channel.guild:
            return event | {"user": write_user(person)}
        guild = {"id": str(channel.guild), "locale": "en-US", "features": []}
        member = write_member(person, with_user=True) | {"permissions": str(ORDINARY)}
        return event | {"guild_id": str(channel.guild), "guild": guild, "guild_locale": "en-US", "member": member}

    def _list_commands(self, params: Mapping[str, str], _body: None) -> Any:
        check_application(params["application_id"])
        return self.commands.all

    def _set_commands(self, params: Mapping[str, str], body: list[Mapping[str, Any]]) -> Any:
        check_application(params["application_id"])
        self.commands.replace(body)
        return self.commands.all

    def _answer(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        made = self.all.get(int(params["webhook_id"]))
        if made is None or made.token != params["webhook_token"]:
            raise Refused(404, 10062, "Unknown interaction")
        if made.shown is not None:
            raise Refused(400, 40060, "Interaction has already been acknowledged.")
        if made.answered_after is None:
            made.answered_after = self.clock() - made.asked_at
        if self.clock() - made.asked_at > ANSWER_SECONDS:
            raise Refused(404, 10062, "Unknown interaction")
        written = body.get("data", {})
        made.shown = self._show(made, written) if body["type"] == MESSAGE else self._promise(made, written)
        return self._confirm(made, body["type"]) if params.get("with_response") in ("1", "true", "True") else None

    def _show(self, made: Interaction, written: Mapping[str, Any]) -> Shown:
        if "content" not in written:
            raise outside(400, "Invalid Form Body", "data.content: required", 50035)
        text = read_content(written, EPHEMERAL | SUPPRESS_EMBEDS)
        shown = self._build(made, text, written.get("flags", 0), COMMAND_ANSWER)
        shown.allowed = written["allowed_mentions"]
        return self._add(shown)

    def _promise(self, made: Interaction, written: Mapping[str, Any]) -> Shown:
        if written.keys() - {"flags"} or written.get("flags", 0) & ~EPHEMERAL:
            raise outside(400, "Invalid Form Body", "a promise that holds more than that it is ephemeral", 50035)
        return self._add(self._build(made, "", written.get("flags", 0) | LOADING, COMMAND_ANSWER))

    def _build(self, made: Interaction, text: str, flags: int, kind: int) -> Shown:
        shown = Shown(self._snowflakes.next(), made.channel, text, BOT, kind=kind, flags=flags)
        person = write_user(self._places.person(made.author))
        owners = {"0": str(self._places.channels[made.channel].guild)}
        used = {"id": str(made.id), "type": 2, "user": person, "authorizing_integration_owners": owners}
        shown.more = {"interaction_metadata": used, "application_id": str(BOT), "webhook_id": str(BOT)}
        return shown

    def _add(self, shown: Shown) -> Shown:
        if not shown.flags & EPHEMERAL:
            self._history.add(shown)
            self._news.written(shown)
        return shown

    def _confirm(self, made: Interaction, kind: int) -> Any:
        assert made.shown is not None
        told = {
            "id": str(made.id),
            "type": 2,
            "response_message_id": str(made.shown.id),
            "response_message_loading": kind == DEFERRED,
            "response_message_ephemeral": made.is_ephemeral,
        }
        return {"interaction": told, "resource": {"type": kind, "message": self._history.as_message(made.shown)}}

    def _follow_up(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        made = self._find(params)
        text = read_content(body, EPHEMERAL | SUPPRESS_EMBEDS)
        shown = self._build(made, text, body.get("flags", 0), 0)
        shown.allowed = body["allowed_mentions"]
        return self._history.as_message(self._add(shown))

    def _show_original(self, params: Mapping[str, str], _body: None) -> Any:
        return self._history.as_message(self._find_original(params))

    def _edit_original(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        shown = self._find_original(params)
        text = read_content(body)
        shown.flags &= ~LOADING
        shown.allowed = body["allowed_mentions"]
        self._history.edit(shown, text)
        if not shown.flags & EPHEMERAL:
            self._news.changed(shown)
        return self._history.as_message(shown)

    def _delete_original(self, params: Mapping[str, str], _body: None) -> Any:
        shown = self._find_original(params)
        self._history.delete(shown, by_bot=True)
        if not shown.flags & EPHEMERAL:
            self._news.removed(shown)

    def _find_original(self, params: Mapping[str, str]) -> Shown:
        shown = self._find(params).shown
        if shown is None or shown.is_deleted:
            raise unknown_message()
        return shown

    def _find(self, params: Mapping[str, str]) -> Interaction:
        """Return an interaction that was answered, and can still be added to; raises Refused."""
        check_application(params["webhook_id"])
        for made in self.all.values():
            if made.token == params["webhook_token"] and made.shown is not None:
                if self.clock() - made.asked_at > TOKEN_SECONDS:
                    raise Refused(401, 50027, "Invalid Webhook Token")
                return made
        raise Refused(404, 10015, "Unknown Webhook")


def check_application(text: str) -> None:
    """Raise Refused where an application is meant that is not the bot's."""
    if text != str(BOT):
        raise Refused(404, 10002, "Unknown Application")
