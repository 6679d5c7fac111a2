"""This module parses Slack's events, slash commands and history messages, without a call and so without people's names.

Only people's messages are taken: not those of apps and bots, this one included, nor Slack's own notices. In a channel,
each thread is a conversation, and so is a message outside of threads, as the root of a thread to come; direct messages
outside of threads are one conversation together. A reply goes where its conversation is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from channels.base import Address, RemoteFile
from channels.slack.files import whole
from channels.slack.forwards import read_forwards, read_shared_files
from channels.slack.mrkdwn import mentioned

__all__ = ["Attention", "Ignored", "Me", "Opened", "Reader", "Said", "is_direct_chat", "read_time"]

Attention = Literal["mention", "all", "off"]

_TS = re.compile(r"\d{9,11}\.\d{1,9}", re.ASCII)
_HUMAN = frozenset({"", "file_share", "thread_broadcast", "me_message"})
"""The subtypes of messages that a person writes (https://docs.slack.dev/reference/events/message)."""
_SLACKBOT = "USLACKBOT"


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own user in its workspace."""

    team: str
    user: str
    """The id of the bot's user."""
    name: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """There is nothing to take in; `reason` says why, in a word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A person has opened an assistant thread."""

    address: Address


@dataclass(frozen=True, slots=True)
class Said:
    """A message, edit, deletion or command of a person; `at` is when, by Slack's clock (aware, UTC)."""

    address: Address
    user: str
    message_id: str
    at: datetime
    text: str
    kind: Literal["message", "edit", "delete", "command"] = "message"
    files: tuple[RemoteFile, ...] = ()
    is_direct: bool = True
    names_me: bool = False
    name: str = ""
    """The author's name, if the payload has it."""


class Reader:
    """Parses what comes in for one bot."""

    def __init__(self, me: Me, channels: Attention, commands: Collection[str]) -> None:
        """Parse for the bot `me`; `channels` says what is read in channels, `commands` what may follow a `!`."""
        self._me = me
        self.channels = channels
        self._shout = re.compile(rf"!({'|'.join(map(re.escape, commands)) or '(?!)'})(?=\s|\Z)", re.IGNORECASE)

    def read_event(self, payload: Mapping[str, Any]) -> Said | Opened | Ignored:
        """Read the payload of an event."""
        event = payload.get("event")
        if not isinstance(event, dict):
            return Ignored("unparsable" if payload.get("type") == "event_callback" else "other")
        match event.get("type"):
            case "message" | "app_mention":
                return self.read_message(event)
            case "assistant_thread_started":
                return self._opened(event)
            case "assistant_thread_context_changed":
                return Ignored("assistant")
            case _:
                return Ignored("other")

    def read_message(self, event: Mapping[str, Any], chat: str = "") -> Said | Ignored:
        """Parse a message event, or a message of a history, which does not name its conversation: `chat` does."""
        chat = chat or _word(event, "channel")
        if not chat:
            return Ignored("unparsable")
        if self.channels == "off" and not is_direct_chat(chat):
            return Ignored("unaddressed")
        subtype = _word(event, "subtype")
        match subtype:
            case "message_changed":
                return self._changed(event, chat)
            case "message_deleted":
                return self._deleted(_inner(event, "previous_message"), event, chat, _word(event, "deleted_ts"))
            case "bot_message":
                return Ignored("bot")
            case _ if subtype not in _HUMAN:
                return Ignored("service")
        return self._said(event, chat)

    def read_command(self, payload: Mapping[str, Any], now: datetime) -> Said | Ignored:
        """Parse a slash command: its text becomes `/` and the words, `/help` if there are none."""
        chat, user, trigger = (_word(payload, name) for name in ("channel_id", "user_id", "trigger_id"))
        if not (chat and user and trigger):
            return Ignored("unparsable")
        words = _word(payload, "text").strip().lstrip("/!").strip()
        address = Address("slack", self._me.team, chat)
        return Said(
            address,
            user,
            trigger,
            now,
            f"/{words or 'help'}",
            kind="command",
            is_direct=is_direct_chat(chat),
            names_me=True,
            name=_word(payload, "user_name"),
        )

    def command_in(self, text: str) -> str:
        """Return a text, with `/` instead of `!` if it is a command: Slack allows no slash commands in threads."""
        found = self._shout.match(text.lstrip())
        return f"/{text.lstrip()[1:]}" if found else text

    def _said(self, message: Mapping[str, Any], chat: str) -> Said | Ignored:
        who = self._person(message)
        at = read_time(_word(message, "ts"))
        if isinstance(who, Ignored):
            return who
        if at is None:
            return Ignored("unparsable")
        text, files = _words(message), read_shared_files(message)
        if not text.strip() and not files:
            return Ignored("empty")
        return Said(
            self._address(message, chat),
            who,
            _word(message, "ts"),
            at,
            text,
            files=files,
            is_direct=is_direct_chat(chat),
            names_me=self._me.user in mentioned(_word(message, "text")),
        )

    def _changed(self, event: Mapping[str, Any], chat: str) -> Said | Ignored:
        """Parse a changed message: an edit of the author's counts, but not what Slack adds, such as a preview.

        Its time is the event's own, which no other change of the message has, and which a redelivery repeats; `edited`
        has whole seconds only, in which somebody may change a message twice.
        """
        message, before = _inner(event, "message"), _inner(event, "previous_message")
        if _word(message, "subtype") == "tombstone":  # a root that is deleted while its thread stays
            return self._deleted(before, event, chat, _word(message, "ts"))
        if _word(message, "subtype") not in _HUMAN:
            return Ignored("bot" if _word(message, "subtype") == "bot_message" else "service")
        who = self._person(message)
        if isinstance(who, Ignored):
            return who
        edited = _word(_inner(message, "edited"), "ts")
        at, sent = _event_time(event), read_time(_word(message, "ts"))
        is_same = edited == _word(_inner(before, "edited"), "ts") and message.get("text") == before.get("text")
        if not edited or is_same:
            return Ignored("service")
        if at is None or sent is None:
            return Ignored("unparsable")
        return self._change("edit", message, chat, (who, _word(message, "ts"), at))

    def _deleted(
        self, before: Mapping[str, Any], event: Mapping[str, Any], chat: str, message_id: str
    ) -> Said | Ignored:
        who = self._person(before)
        at = _event_time(event)
        if isinstance(who, Ignored):
            return who
        if at is None or read_time(message_id) is None:
            return Ignored("unparsable")
        return self._change("delete", {**before, "ts": message_id}, chat, (who, message_id, at))

    def _change(
        self, kind: Literal["edit", "delete"], message: Mapping[str, Any], chat: str, what: tuple[str, str, datetime]
    ) -> Said:
        who, message_id, at = what
        address = self._address(message, chat)
        return Said(address, who, message_id, at, _words(message), kind=kind, is_direct=is_direct_chat(chat))

    def _person(self, message: Mapping[str, Any]) -> str | Ignored:
        user = _word(message, "user")
        if message.get("bot_id") or message.get("bot_profile") or user == self._me.user:
            return Ignored("own" if user == self._me.user else "bot")
        if not user or user == _SLACKBOT:
            return Ignored("nobody")
        return user

    def _address(self, message: Mapping[str, Any], chat: str) -> Address:
        ts, thread = _word(message, "ts"), _word(message, "thread_ts")
        root = thread if thread and thread != ts else None
        if root is None and not is_direct_chat(chat):
            root = ts
        return Address("slack", self._me.team, chat, root)

    def _opened(self, event: Mapping[str, Any]) -> Opened | Ignored:
        thread = _inner(event, "assistant_thread")
        chat, root = _word(thread, "channel_id"), _word(thread, "thread_ts")
        if not chat or read_time(root) is None:
            return Ignored("unparsable")
        return Opened(Address("slack", self._me.team, chat, root))


def is_direct_chat(chat: str) -> bool:
    """Tell whether a conversation is direct messages with one person: Slack's ids of those begin with D."""
    return chat.startswith("D")


def _event_time(event: Mapping[str, Any]) -> datetime | None:
    return read_time(_word(event, "event_ts") or _word(event, "ts"))


def _word(values: Mapping[str, Any], name: str) -> str:
    found = values.get(name)
    return whole(found) if isinstance(found, str) else ""


def _words(message: Mapping[str, Any]) -> str:
    """Return a message's text, and below it what it forwards."""
    words = _word(message, "text")
    return "\n".join(part for part in (words if words.strip() else "", read_forwards(message)) if part)


def _inner(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def read_time(ts: str) -> datetime | None:
    """Return when a message with this id, its `ts`, was sent; None if it is no such id."""
    return datetime.fromtimestamp(float(ts), UTC) if _TS.fullmatch(ts) else None
