"""This module implements the routes for messages, channels and the bot: their effects and their answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.platforms.discordapi import intents
from tests.platforms.discordapi.answers import Refused, invalid_form, missing_permissions, unknown_reference
from tests.platforms.discordapi.gateway import Gateway
from tests.platforms.discordapi.history import History, Shown
from tests.platforms.discordapi.news import News
from tests.platforms.discordapi.payloads import write_channel, write_user
from tests.platforms.discordapi.people import REPLY
from tests.platforms.discordapi.places import BOT, Places
from tests.platforms.discordapi.routes import (
    APPLICATION,
    CHANNEL,
    DELETE,
    EDIT,
    FETCH,
    GATEWAY_ADDRESS,
    GATEWAY_BOT,
    HISTORY,
    ME,
    OPEN_DM,
    SEND,
    TYPING,
    USER,
)
from tests.platforms.discordapi.snowflakes import Snowflakes
from tests.platforms.discordapi.writing import read_content

MOST_MESSAGES: Final = 100
"""Of a channel at once: https://discord.com/developers/docs/resources/message#get-channel-messages."""
USUAL_MESSAGES: Final = 50
REPLIABLE: Final = (0, REPLY, 20)
"""The types of message that can be replied to."""

Answer = Any
"""The body of an answer; None is none."""
Perform = Callable[[Mapping[str, str], Any], Answer]
"""What a route does with the parameters in its address and its body; raises Refused."""


class Methods:
    """All of them."""

    def __init__(self, places: Places, history: History, news: News, gateway: Gateway, snowflakes: Snowflakes) -> None:
        """Act in these places."""
        self.nonce_seconds = 180.0
        """How long a nonce is remembered: a few minutes, the API says."""
        self._places = places
        self._history = history
        self._news = news
        self._gateway = gateway
        self._snowflakes = snowflakes
        self._by_nonce: dict[str, tuple[float, int]] = {}
        self._perform: Mapping[str, Perform] = {
            SEND: self._send,
            EDIT: self._edit,
            DELETE: self._delete,
            HISTORY: self._list,
            FETCH: self._fetch,
            TYPING: self._type,
            CHANNEL: self._show_channel,
            OPEN_DM: self._open_dm,
            ME: self._show_me,
            USER: self._show_user,
            APPLICATION: self._show_application,
            GATEWAY_ADDRESS: self._show_gateway,
            GATEWAY_BOT: self._show_gateway_of_bot,
        }

    def has(self, route: str) -> bool:
        """Tell whether this is one of them."""
        return route in self._perform

    def perform(self, route: str, params: Mapping[str, str], body: Any) -> Answer:
        """Let a call have its effect, and return the body of its answer; raises Refused."""
        return self._perform[route](params, body)

    @property
    def reads_all(self) -> bool:
        """Whether the application may read what is not meant for the bot."""
        return intents.MESSAGE_CONTENT in self._gateway.allowed

    def _send(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        channel = self._places.find_to_write(read_snowflake("channel_id", params["channel_id"]))
        text = read_content(body)
        known = self._find_by_nonce(body)
        if known is not None:
            return self._history.as_message(known) | {"nonce": known.nonce}
        if self._places.wake(channel):
            self._news.channel(channel, "THREAD_UPDATE")
        shown = Shown(self._snowflakes.next(), channel.id, text, BOT, nonce=body.get("nonce"))
        shown.allowed, shown.flags = body["allowed_mentions"], body.get("flags", 0)
        self._refer(shown, body.get("message_reference"))
        self._history.add(shown)
        if shown.nonce is not None:
            self._by_nonce[str(shown.nonce)] = (time.monotonic(), shown.id)
        self._news.written(shown)
        return self._history.as_message(shown) | ({} if shown.nonce is None else {"nonce": shown.nonce})

    def _find_by_nonce(self, body: Mapping[str, Any]) -> Shown | None:
        """Return the message that the bot has sent with the same nonce, if it asks for that."""
        if "nonce" not in body or not body.get("enforce_nonce"):
            return None
        at, message_id = self._by_nonce.get(str(body["nonce"]), (0.0, 0))
        is_remembered = message_id and time.monotonic() - at < self.nonce_seconds
        return self._history.messages[message_id] if is_remembered else None

    def _refer(self, shown: Shown, reference: Mapping[str, Any] | None) -> None:
        if reference is None:
            return
        replied = self._history.messages.get(int(reference["message_id"]))
        where = int(reference.get("channel_id", shown.channel))
        if replied is None or replied.is_deleted or not shown.channel == replied.channel == where:
            if reference.get("fail_if_not_exists", True):
                raise unknown_reference("REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            return
        if replied.kind not in REPLIABLE:
            code = "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE"
            raise unknown_reference(code, "Cannot reply to a system message")
        shown.kind, shown.reference, shown.replied_to = REPLY, replied.id, replied.author

    def _edit(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        shown = self._find(params)
        if not shown.from_bot:
            raise Refused(403, 50005, "Cannot edit a message authored by another user")
        text = read_content(body)
        channel = self._places.find_to_write(shown.channel)
        if channel.is_archived:
            raise Refused(400, 50083, "Thread is archived")
        shown.allowed = body["allowed_mentions"]
        self._history.edit(shown, text)
        self._news.changed(shown)
        return self._history.as_message(shown)

    def _delete(self, params: Mapping[str, str], _body: None) -> Answer:
        shown = self._find(params)
        if not shown.from_bot:
            if self._places.channels[shown.channel].kind == "dm":
                raise Refused(403, 50003, "Cannot execute action on a DM channel")
            raise missing_permissions()
        self._history.delete(shown, by_bot=True)
        self._news.removed(shown)

    def _fetch(self, params: Mapping[str, str], _body: None) -> Answer:
        return self._history.as_message(self._find(params), reads_all=self.reads_all)

    def _list(self, params: Mapping[str, str], _body: None) -> Answer:
        channel = self._places.find(read_snowflake("channel_id", params["channel_id"]))
        limit = read_limit(params.get("limit", str(USUAL_MESSAGES)))
        shows_history = self._places.access(channel) != "live"  # else it is as if there was none
        found = select(self._history.of(channel.id) if shows_history else [], params, limit)
        return [self._history.as_message(shown, reads_all=self.reads_all) for shown in reversed(found)]

    def _type(self, params: Mapping[str, str], _body: None) -> Answer:
        channel = self._places.find_to_write(read_snowflake("channel_id", params["channel_id"]))
        self._history.act(channel.id)

    def _show_channel(self, params: Mapping[str, str], _body: None) -> Answer:
        channel = self._places.find(read_snowflake("channel_id", params["channel_id"]))
        return write_channel(self._places, channel, self._history.last_of(channel.id))

    def _open_dm(self, _params: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        person = self._places.people.get(int(body["recipient_id"]))
        if person is None or person.is_bot:
            raise Refused(400, 50033, "Invalid Recipient(s)")
        channel = self._places.channels[self._places.open_dm(person.id)]
        return write_channel(self._places, channel, self._history.last_of(channel.id))

    def _show_me(self, _params: Mapping[str, str], _body: None) -> Answer:
        own = {"mfa_enabled": False, "verified": True, "email": None, "flags": 0, "locale": "en-US"}
        return write_user(self._places.person(BOT)) | own

    def _show_user(self, params: Mapping[str, str], _body: None) -> Answer:
        person = self._places.people.get(read_snowflake("user_id", params["user_id"]))
        if person is None:
            raise Refused(404, 10013, "Unknown User")
        return write_user(person)

    def _show_application(self, _params: Mapping[str, str], _body: None) -> Answer:
        words = {"name": "agentd", "description": "", "summary": "", "verify_key": "0" * 64}
        return {
            **words,
            "id": str(BOT),
            "icon": None,
            "flags": intents.CONTENT_FLAG if self.reads_all else 0,
            "owner": write_user(self._places.person(BOT)),
            "bot_public": False,
            "bot_require_code_grant": False,
            "hook": True,
            "interactions_endpoint_url": None,
            "redirect_uris": [],
        }

    def _show_gateway(self, _params: Mapping[str, str], _body: None) -> Answer:
        return {"url": self._gateway.url}

    def _show_gateway_of_bot(self, _params: Mapping[str, str], _body: None) -> Answer:
        left = 1000 - len(self._gateway.identified)
        starts = {"total": 1000, "remaining": left, "reset_after": 86_400_000, "max_concurrency": 1}
        return {"url": self._gateway.url, "shards": 1, "session_start_limit": starts}

    def _find(self, params: Mapping[str, str]) -> Shown:
        channel = self._places.find(read_snowflake("channel_id", params["channel_id"]))
        return self._history.find(channel.id, read_snowflake("message_id", params["message_id"]))


def read_snowflake(name: str, text: str) -> int:
    """Return an id; raises Outside."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 63):
        raise invalid_form((name,), "NUMBER_TYPE_COERCE", f'Value "{text}" is not snowflake.')
    return int(text)


def read_limit(text: str) -> int:
    """Return how many messages are asked for; raises Outside."""
    if not text.isdigit():
        raise invalid_form(("limit",), "NUMBER_TYPE_COERCE", f'Value "{text}" is not int.')
    if int(text) < 1:
        raise invalid_form(("limit",), "NUMBER_TYPE_MIN", "int value should be greater than or equal to 1.")
    if int(text) > MOST_MESSAGES:
        words = f"int value should be less than or equal to {MOST_MESSAGES}."
        raise invalid_form(("limit",), "NUMBER_TYPE_MAX", words)
    return int(text)


def select(messages: list[Shown], params: Mapping[str, str], limit: int) -> list[Shown]:
    """Return those of a channel's messages that are asked for: after an id the first, otherwise the last."""
    if "around" in params:
        middle = read_snowflake("around", params["around"])
        older = [shown for shown in messages if shown.id < middle]
        newer = [shown for shown in messages if shown.id >= middle]
        return older[-(limit // 2) or len(older) :] + newer[: limit - limit // 2]
    if "before" in params:
        before = read_snowflake("before", params["before"])
        return [shown for shown in messages if shown.id < before][-limit:]
    if "after" in params:
        after = read_snowflake("after", params["after"])
        return [shown for shown in messages if shown.id > after][:limit]
    return messages[-limit:]
