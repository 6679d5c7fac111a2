"""This module lets people write, send, edit, move and block; the bot gets updates about it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from tests.platforms.botapi.chats import BOT, GENERAL, SUPERGROUPS, Chat, Chats, Membership
from tests.platforms.botapi.history import History, Shown
from tests.platforms.botapi.media import Files, Media
from tests.platforms.botapi.texts import cut_pasted, find_entities
from tests.platforms.botapi.updates import UpdateQueue


class Written(TypedDict, total=False):
    """How something is written; what is left out is as in a private chat with person 7."""

    sender: int
    chat: int
    date: int | None
    """Unix seconds; now, if it is left out."""
    thread: int | None
    """A forum's topic, as `open_topic` returned it."""
    reply_to: int | None
    """A message of the same chat."""
    media: Media
    """What is sent; the text is its caption then."""
    mentions: Mapping[str, int]
    """People who are mentioned by a word of the text, because they have no name of their own."""
    service: Mapping[str, Any]
    """The part of a `Message` that makes it a service message, such as {"new_chat_members": [...]}."""
    more: Mapping[str, Any]
    """Any further parts of a `Message`."""


class People:
    """Everybody but the bot."""

    def __init__(self, chats: Chats, history: History, updates: UpdateQueue, files: Files) -> None:
        """Act in these chats."""
        self.reads_all = True
        """Whether the bot sees all that is written in groups: privacy mode, when off."""
        self._chats = chats
        self._history = history
        self._updates = updates
        self._files = files
        self._albums = itertools.count(13_000_000_000_000_001)

    def post(self, text: str = "", **how: Unpack[Written]) -> int:
        """Let a person write, and return the message's id."""
        chat = self._chats.open_chat(how.get("chat", 7))
        date = how.get("date")
        when = int(time.time()) if date is None else date
        shown = Shown(self._chats.next_message_id(chat), chat.id, text, False, when)
        shown.sender = how.get("sender", 7)
        shown.reply_to = how.get("reply_to")
        shown.thread = how.get("thread")
        if shown.reply_to is not None and shown.thread is None:
            shown.thread = self._history.thread_of_reply(chat.id, shown.reply_to)
        self._fill(shown, how)
        self._history.add(shown)
        if self._may_see(shown, chat):
            self._updates.push("channel_post" if chat.kind == "channel" else "message", self._history.as_message(shown))
        return shown.message_id

    def post_album(self, things: Sequence[Media], text: str = "", **how: Unpack[Written]) -> list[int]:
        """Let a person send several things at once, the first with a caption; each is a message of its own."""
        each = how.copy()
        each["more"] = {**how.get("more", {}), "media_group_id": str(next(self._albums))}
        ids = []
        for number, thing in enumerate(things):
            each["media"] = thing
            ids.append(self.post(text if number == 0 else "", **each))
        return ids

    def post_paste(self, text: str, **how: Unpack[Written]) -> list[int]:
        """Let a person paste a text of any length, which the client sends as so many messages as it takes."""
        return [self.post(piece.strip(), **how) for piece in cut_pasted(text) if piece.strip()]

    def post_edit(self, message_id: int, text: str, *, chat: int = 7, date: int | None = None) -> None:
        """Let a person change what they wrote, or the caption of what they sent."""
        shown = self._history.messages[chat, message_id]
        self._history.edit(shown, text, shown.entities, int(time.time()) if date is None else date)
        shown.entities = tuple(find_entities(text, {}))
        opened = self._chats.open_chat(chat)
        if self._may_see(shown, opened):
            kind = "edited_channel_post" if opened.kind == "channel" else "edited_message"
            self._updates.push(kind, self._history.as_message(shown))

    def open_topic(self, chat: int, name: str, *, sender: int = 7) -> int:
        """Let a person open a topic in a forum, and return its id."""
        forum = self._chats.open_chat(chat)
        forum.is_forum = True
        thread = self._chats.next_message_id(forum)
        if thread == GENERAL:
            thread = self._chats.next_message_id(forum)
        forum.topics.add(thread)
        created = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        shown = Shown(thread, chat, "", False, int(time.time()), sender=sender, thread=thread, content=created)
        self._updates.push("message", self._history.as_message(self._history.add(shown)))
        return thread

    def block(self, chat: int, *, sender: int = 7) -> None:
        """Let a person block the bot, or remove it from a group for good."""
        self._set_membership(chat, "kicked", sender)

    def unblock(self, chat: int, *, sender: int = 7) -> None:
        """Let a person talk to the bot again, or take it into a group."""
        self._set_membership(chat, "member", sender)

    def migrate(self, chat: int, *, sender: int = 7) -> int:
        """Turn a group into a supergroup, and return the new chat's id; both tell of it."""
        old = self._chats.open_chat(chat)
        new = self._chats.open_chat(SUPERGROUPS + chat, "supergroup", title=old.title)
        self.post(chat=old.id, sender=sender, service={"migrate_to_chat_id": new.id})
        old.moved_to = new.id
        self.post(chat=new.id, sender=sender, service={"migrate_from_chat_id": old.id})
        return new.id

    def _set_membership(self, chat_id: int, membership: Membership, sender: int) -> None:
        chat = self._chats.open_chat(chat_id)
        change = {
            "chat": self._chats.as_chat(chat),
            "from": self._chats.person(sender if chat.kind != "private" else chat.id).as_user(),
            "date": int(time.time()),
            "old_chat_member": _member(chat.membership),
            "new_chat_member": _member(membership),
        }
        chat.membership = membership
        self._updates.push("my_chat_member", change)

    def _fill(self, shown: Shown, how: Written) -> None:
        content: dict[str, Any] = {}
        if "media" in how:
            content |= how["media"].keep(self._files)
        shown.content = {**content, **how.get("service", {}), **how.get("more", {})}
        mentions = {word: self._chats.person(known).as_user() for word, known in how.get("mentions", {}).items()}
        shown.entities = tuple(find_entities(shown.text, mentions))

    def _may_see(self, shown: Shown, chat: Chat) -> bool:
        """Tell whether the bot hears of it; in privacy mode, that is what is meant for it, and service messages."""
        if chat.membership != "member" or chat.moved_to is not None:
            return False
        if self.reads_all or chat.kind not in ("group", "supergroup") or not shown.text:
            return True
        replied = self._history.messages.get((chat.id, shown.reply_to or 0))
        return bool(replied and replied.from_bot) or _is_addressed(shown)


def _member(membership: Membership) -> dict[str, Any]:
    member: dict[str, Any] = {"user": dict(BOT), "status": membership}
    return member | ({"until_date": 0} if membership == "kicked" else {})


def _is_addressed(shown: Shown) -> bool:
    """Tell whether a text holds a command or mentions the bot."""
    kinds = {entity["type"] for entity in shown.entities}
    mentioned = f"@{BOT['username']}" in shown.text or any(
        entity.get("user", {}).get("id") == BOT["id"] for entity in shown.entities
    )
    return "bot_command" in kinds or mentioned
