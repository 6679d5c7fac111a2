"""This module lets people write, send, edit and delete; the app gets events about it."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, TypedDict, Unpack

from tests.platforms.slackapi.deliveries import Deliveries, Delivery
from tests.platforms.slackapi.files import File, Files
from tests.platforms.slackapi.history import History, Shown
from tests.platforms.slackapi.workspace import ADA, APP, BOT, GENERAL, STRANGER_BOT, TEAM, Workspace

LINK: Final = re.compile(r"\bhttps?://[^\s<>]+")

SUBSCRIBED: Final = frozenset(
    {"app_mention", "message.im", "message.channels", "message.groups", "message.mpim"}
    | {"assistant_thread_started", "assistant_thread_context_changed", "reaction_added", "member_joined_channel"}
)
"""The events that the app has asked for in its settings, messages by where they are written."""
PLACES: Final = {"im": "message.im", "channel": "message.channels", "group": "message.groups", "mpim": "message.mpim"}


class Written(TypedDict, total=False):
    """How something is written; what is left out is as in Ada's direct messages."""

    author: str
    channel: str
    """The author's direct messages, if it is left out."""
    thread: str | None
    """The root's ts."""
    files: Sequence[File]
    broadcast: bool
    """Whether a reply is also sent to the channel."""
    at: float | None
    """Unix seconds; now, if it is left out."""
    more: Mapping[str, Any]
    """Any further parts of the message."""
    unheard: bool
    """Whether no event tells of it, as of what was written while events were disabled."""


class People:
    """Everybody but the bot."""

    def __init__(self, workspace: Workspace, history: History, deliveries: Deliveries, files: Files) -> None:
        """Act in this workspace."""
        self.subscribed = SUBSCRIBED
        self._workspace = workspace
        self._history = history
        self._deliveries = deliveries
        self._files = files
        self._events = itertools.count(1)

    def post(self, text: str = "", **how: Unpack[Written]) -> str:
        """Let a person write, and return the message's ts; `text` is what they type, mentions as `<@U...>`."""
        shown = self._write(text, how)
        if not how.get("unheard"):
            self._tell(shown)
        return shown.ts

    def mention(self, text: str = "", **how: Unpack[Written]) -> str:
        """Let a person write to the bot in a channel, of which two events tell; return the message's ts."""
        place: Written = {"channel": GENERAL, **how}
        return self.post(f"<@{BOT}> {text}", **place)

    def post_edit(self, ts: str, text: str, *, channel: str | None = None) -> None:
        """Let a person change what they wrote."""
        shown = self._history.find(channel or self._workspace.dm_of(ADA), ts)
        before = self._history.as_message(shown)
        self._history.edit(shown, _as_typed(text), _as_rich(text))
        self.tell_changed(shown, before)

    def post_delete(self, ts: str, *, channel: str | None = None) -> None:
        """Let a person take back what they wrote."""
        shown = self._history.find(channel or self._workspace.dm_of(ADA), ts)
        self.take_back(shown)

    def unfurl(self, ts: str, *, channel: str | None = None) -> None:
        """Let a preview of a link appear below a message: it changes, and its author has not changed it."""
        shown = self._history.find(channel or self._workspace.dm_of(ADA), ts)
        before = self._history.as_message(shown)
        shown.content = {**shown.content, "attachments": [{"id": 1, "title": "A page", "from_url": "https://x.test"}]}
        self.tell_changed(shown, before)

    def post_as_bot(self, text: str, *, channel: str = GENERAL, thread: str | None = None) -> str:
        """Let another app's bot write, and return the message's ts."""
        more = {"bot_id": "B0BOT00002", "username": "Reminder", "subtype": "bot_message"}
        return self.post(text, author=STRANGER_BOT, channel=channel, thread=thread, more=more)

    def join(self, person: str, *, channel: str = GENERAL) -> None:
        """Let a person join a channel, which a message and an event tell of."""
        self._workspace.open_channel(channel).members.add(person)
        self.post(
            f"<@{person}> has joined the channel", author=person, channel=channel, more={"subtype": "channel_join"}
        )
        self.push({"type": "member_joined_channel", "user": person, "channel": channel, "team": TEAM})

    def react(self, ts: str, emoji: str = "thumbsup", *, channel: str | None = None, author: str = ADA) -> None:
        """Let a person react to a message."""
        item = {"type": "message", "channel": channel or self._workspace.dm_of(ADA), "ts": ts}
        self.push({"type": "reaction_added", "user": author, "reaction": emoji, "item_user": BOT, "item": item})

    def push(self, event: Mapping[str, Any], *, at: float | None = None) -> Delivery | None:
        """Tell the app of an event that it has asked for; returns None where it has not."""
        kind = str(event["type"])
        if kind == "message":
            kind = PLACES[event["channel_type"]]
        if kind not in self.subscribed:
            return None
        return self._deliveries.offer("events_api", self._wrap(event, time.time() if at is None else at))

    def push_raw(self, payload: Mapping[str, Any]) -> Delivery:
        """Deliver a payload just as it is, however wrong."""
        return self._deliveries.offer("events_api", payload)

    def rate_limit(self) -> Delivery:
        """Tell the app that some of its events are left out, since there were too many."""
        minute = int(time.time()) // 60 * 60
        told = {"type": "app_rate_limited", "team_id": TEAM, "minute_rate_limited": minute, "api_app_id": APP}
        return self._deliveries.offer("events_api", {"token": "planted-verification", **told})

    def tell_changed(self, shown: Shown, before: Mapping[str, Any]) -> None:
        """Tell the app that a message is another than `before`."""
        changed = {"message": self._history.as_message(shown), "previous_message": dict(before)}
        self._tell_hidden(shown, {"subtype": "message_changed", **changed})

    def take_back(self, shown: Shown) -> None:
        """Delete a message, and tell the app: of a thread's root with replies, that it has become a stone."""
        before = self._history.as_message(shown)
        self._history.delete(shown)
        if shown.thread is None and self._history.replies(shown):
            self.tell_changed(shown, before)
        else:
            gone = {"subtype": "message_deleted", "deleted_ts": shown.ts, "previous_message": before}
            self._tell_hidden(shown, gone)

    def tell_own(self, shown: Shown) -> None:
        """Tell the app what its own bot has written."""
        self.push(self._history.as_event(shown))

    def _write(self, typed: str, how: Written) -> Shown:
        author = how.get("author", ADA)
        channel = how.get("channel") or self._workspace.dm_of(author)
        shown = Shown(self._workspace.next_ts(how.get("at")), channel, _as_typed(typed), author)
        shown.thread = how.get("thread")
        if shown.thread is not None:
            self._history.find_root(channel, shown.thread)
        content: dict[str, Any] = {} if self._workspace.person(author).is_bot else {"client_msg_id": str(uuid.uuid4())}
        if files := how.get("files", ()):
            shown.subtype = "file_share"
            content |= {"files": [self._files.keep(file, author) for file in files], "upload": False}
        if shown.thread is not None and how.get("broadcast"):
            shown.subtype = "thread_broadcast"
            content["root"] = self._history.as_message(self._history.find(channel, shown.thread))
        shown.content = {**content, **how.get("more", {})}
        shown.subtype = shown.content.get("subtype", shown.subtype)
        shown.blocks = _as_rich(typed) if shown.subtype in (None, "thread_broadcast") and typed else ()
        return self._history.add(shown)

    def _tell(self, shown: Shown) -> None:
        conversation = self._workspace.conversations[shown.channel]
        if BOT not in conversation.members:
            return
        event = self._history.as_event(shown)
        self.push(event, at=float(shown.ts))
        if f"<@{BOT}>" in shown.text and conversation.kind != "im" and shown.subtype in (None, "file_share"):
            kept = {name: value for name, value in event.items() if name not in ("channel_type", "subtype")}
            self.push({**kept, "type": "app_mention"}, at=float(shown.ts))

    def _tell_hidden(self, shown: Shown, change: Mapping[str, Any]) -> None:
        kind = self._workspace.conversations[shown.channel].kind
        ts = self._workspace.next_ts()
        where = {"channel": shown.channel, "ts": ts, "event_ts": ts, "channel_type": kind, "hidden": True}
        self.push({"type": "message", **change, **where})

    def _wrap(self, event: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Return an event's payload (https://docs.slack.dev/apis/events-api#event-type-structure)."""
        bot = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True, "is_enterprise_install": False}
        return {
            "token": "planted-verification",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "context_enterprise_id": None,
            "api_app_id": APP,
            "event": dict(event),
            "type": "event_callback",
            "event_id": f"Ev{next(self._events):09}",
            "event_time": int(at),
            "authorizations": [bot],
            "is_ext_shared_channel": False,
            "event_context": "4-planted",
        }


def _as_typed(text: str) -> str:
    """Return what the API makes of what a person types: mentions stay, other brackets do not; links are marked."""
    parts = re.split(r"(<[@#!][^>]*>)", text)
    return "".join(
        part if number % 2 else LINK.sub(r"<\g<0>>", escape(part, quote=False)) for number, part in enumerate(parts)
    )


def _as_rich(text: str) -> list[dict[str, Any]]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "planted", "elements": [section]}]
