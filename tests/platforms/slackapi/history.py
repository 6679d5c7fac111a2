"""This module holds every message of the conversations, and writes it as the API does."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.platforms.slackapi.answers import Refused
from tests.platforms.slackapi.blocks import markdown_of
from tests.platforms.slackapi.workspace import APP, BOT, BOT_ID, TEAM, Workspace

STONE: Final = {
    "type": "message",
    "subtype": "tombstone",
    "user": "USLACKBOT",
    "text": "This message was deleted.",
    "hidden": True,
}
"""What stands where a thread's root has been deleted."""


@dataclass(slots=True)
class Shown:
    """One message: what a person's screen shows now, and what it has shown before."""

    ts: str
    channel: str
    text: str
    """As the API has it, with `&lt;` for `<`; of a message with blocks, what notifications show."""
    author: str
    """A user's id."""
    thread: str | None = None
    """The root's ts; None of what is no reply, a root too."""
    blocks: Sequence[Mapping[str, Any]] = ()
    subtype: str | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    """What it holds besides, as the API writes it."""
    past: list[str] = field(default_factory=list)
    """What it said before each edit."""
    edited_ts: str | None = None
    """When it was changed last, to the second."""
    is_deleted: bool = False
    """A root with replies leaves a stone in its place, so that its thread goes on."""

    @property
    def from_bot(self) -> bool:
        """Tell whether this app's bot wrote it."""
        return self.author == BOT

    @property
    def markdown(self) -> str:
        """What its markdown blocks say."""
        return markdown_of(self.blocks)

    @property
    def seen(self) -> str:
        """What people read: the blocks, and only where there are none the text."""
        return self.markdown or self.text


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that changed what people see, in its order."""

    at_seconds: float
    method: str
    ts: str
    text: str
    channel: str
    thread: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """What a thread says of the bot below its messages, such as that it thinks; empty: no more."""

    at_seconds: float
    channel: str
    thread: str
    status: str


class History:
    """The messages of all conversations, by conversation and ts."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing; `clock` times what happens."""
        self.messages: dict[tuple[str, str], Shown] = {}
        self.effects: list[Effect] = []
        self.statuses: list[Status] = []
        self._workspace = workspace
        self._clock = clock
        self._threads: dict[tuple[str, str], list[Shown]] = defaultdict(list)
        self._said: dict[tuple[str, str], str] = {}

    def add(self, shown: Shown) -> Shown:
        """Let a message appear."""
        self.messages[shown.channel, shown.ts] = shown
        if shown.thread is not None:
            self._threads[shown.channel, shown.thread].append(shown)
        self._record("chat.postMessage" if shown.from_bot else "written", shown)
        return shown

    def edit(self, shown: Shown, text: str, blocks: Sequence[Mapping[str, Any]] = ()) -> None:
        """Let a message change."""
        shown.past.append(shown.seen)
        shown.text, shown.blocks = text, blocks
        shown.edited_ts = f"{self._workspace.next_ts().partition('.')[0]}.000000"
        if shown.from_bot:
            self._record("chat.update", shown)

    def delete(self, shown: Shown) -> None:
        """Let a message go."""
        shown.is_deleted = True
        self._record("chat.delete", shown)

    def note_status(self, channel: str, thread: str, status: str) -> None:
        """Note what a thread says of the bot; a message of the bot's ends it."""
        if status or self.status_of(channel, thread):
            self._said[channel, thread] = status
            self.statuses.append(Status(self._clock(), channel, thread, status))

    def status_of(self, channel: str, thread: str) -> str:
        """Return what a thread says of the bot now."""
        return self._said.get((channel, thread), "")

    def find(self, channel: str, ts: str, error: str = "message_not_found") -> Shown:
        """Return a message that is there; raises Refused."""
        shown = self.messages.get((channel, ts))
        if shown is None or shown.is_deleted:
            raise Refused(error)
        return shown

    def find_root(self, channel: str, ts: str, error: str = "thread_not_found") -> Shown:
        """Return the root of the thread that a message is in or begins, a deleted one too; raises Refused."""
        shown = self.messages.get((channel, ts))
        root = self.messages.get((channel, shown.thread)) if shown and shown.thread else shown
        if root is None or (root.is_deleted and not self.replies(root)):
            raise Refused(error)
        return root

    def screen(self, channel: str | None = None, thread: str | None = None) -> list[Shown]:
        """Return what the bot's messages in a conversation (or all, or one thread) show now, oldest first."""
        return [
            shown
            for shown in self.messages.values()
            if shown.from_bot
            and not shown.is_deleted
            and shown.subtype is None
            and channel in (None, shown.channel)
            and thread in (None, shown.thread)
        ]

    def top_level(self, channel: str) -> list[Shown]:
        """Return what a conversation shows outside its threads, oldest first."""
        shown = [
            one
            for one in self.messages.values()
            if one.channel == channel
            and (one.thread is None or one.subtype == "thread_broadcast")
            and (not one.is_deleted or self.replies(one))
        ]
        return sorted(shown, key=lambda one: float(one.ts))

    def replies(self, root: Shown) -> list[Shown]:
        """Return a thread's replies, oldest first."""
        replies = [one for one in self._threads.get((root.channel, root.ts), ()) if not one.is_deleted]
        return sorted(replies, key=lambda one: float(one.ts))

    def as_message(self, shown: Shown) -> dict[str, Any]:
        """Return a message as conversations hold it (https://docs.slack.dev/reference/events/message)."""
        if shown.is_deleted and shown.thread is None:
            return STONE | {"ts": shown.ts} | _of_root(shown, self.replies(shown))
        message: dict[str, Any] = {"type": "message", "user": shown.author, "text": shown.text, "ts": shown.ts}
        if shown.subtype:
            message["subtype"] = shown.subtype
        message |= {"team": TEAM, **(_by_bot() if shown.from_bot else {}), **shown.content}
        if message.get("subtype") == "bot_message":
            del message["user"]
        if shown.blocks:
            message["blocks"] = [dict(block) for block in shown.blocks]
        if shown.edited_ts is not None:
            message["edited"] = {"user": shown.author, "ts": shown.edited_ts}
        if shown.thread is not None:
            message |= {"thread_ts": shown.thread, "parent_user_id": self._parent_user(shown)}
        elif replies := self.replies(shown):
            message |= _of_root(shown, replies)
        return message

    def as_event(self, shown: Shown) -> dict[str, Any]:
        """Return the event of a message that has just appeared."""
        kind = self._workspace.conversations[shown.channel].kind
        return self.as_message(shown) | {"channel": shown.channel, "event_ts": shown.ts, "channel_type": kind}

    def _parent_user(self, shown: Shown) -> str:
        root = self.messages.get((shown.channel, shown.thread or ""))
        return root.author if root else ""

    def _record(self, method: str, shown: Shown) -> None:
        self.effects.append(Effect(self._clock(), method, shown.ts, shown.seen, shown.channel, shown.thread))


def texts(shown: Sequence[Shown]) -> list[str]:
    """Return what these messages say to people."""
    return [message.seen for message in shown]


def _by_bot() -> dict[str, Any]:
    profile = {"id": BOT_ID, "app_id": APP, "user_id": BOT, "name": "Agentd", "deleted": False, "team_id": TEAM}
    return {"bot_id": BOT_ID, "app_id": APP, "bot_profile": profile}


def _of_root(root: Shown, replies: Sequence[Shown]) -> dict[str, Any]:
    authors = sorted({reply.author for reply in replies})
    return {
        "thread_ts": root.ts,
        "reply_count": len(replies),
        "reply_users_count": len(authors),
        "latest_reply": replies[-1].ts,
        "reply_users": authors,
        "is_locked": False,
        "subscribed": True,
    }
