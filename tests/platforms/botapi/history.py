"""This module holds every message of the chats, and writes it as the Bot API does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.platforms.botapi.answers import bad_request
from tests.platforms.botapi.chats import BOT, Chats
from tests.platforms.botapi.entities import Entity


@dataclass(slots=True)
class Shown:
    """One message of a chat: what a person's screen shows now, and what it has shown before."""

    message_id: int
    chat: int
    text: str
    """The caption, where something else than text was sent."""
    from_bot: bool
    date: int
    past: list[str] = field(default_factory=list)
    is_deleted: bool = False
    entities: tuple[Entity, ...] = ()
    sender: int = 0
    thread: int | None = None
    """The topic; in a supergroup without topics, the message that a line of replies began with."""
    reply_to: int | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    """What it holds besides text, as the API writes it."""
    edit_date: int | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that changed what people see, in its order."""

    at_seconds: float
    method: str
    message_id: int
    text: str
    chat: int = 7


@dataclass(frozen=True, slots=True)
class Action:
    """The bot was seen to be doing something, such as typing."""

    at_seconds: float
    chat: int
    thread: int | None
    action: str


class History:
    """The messages of all chats, by chat and id: supergroups count by themselves, so ids alone would collide."""

    def __init__(self, chats: Chats, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing; `clock` times what happens."""
        self.messages: dict[tuple[int, int], Shown] = {}
        self.effects: list[Effect] = []
        self.actions: list[Action] = []
        self._chats = chats
        self._clock = clock

    def add(self, shown: Shown) -> Shown:
        """Let a message appear."""
        self.messages[shown.chat, shown.message_id] = shown
        self._record("sendMessage" if shown.from_bot else "written", shown)
        return shown

    def edit(self, shown: Shown, text: str, entities: tuple[Entity, ...], edit_date: int) -> None:
        """Let a message change."""
        shown.past.append(shown.text)
        shown.text, shown.entities, shown.edit_date = text, entities, edit_date
        if shown.from_bot:
            self._record("editMessageText", shown)

    def delete(self, shown: Shown) -> None:
        """Let a message go."""
        shown.is_deleted = True
        self._record("deleteMessage", shown)

    def act(self, chat: int, thread: int | None, action: str) -> None:
        """Note what the bot was seen to be doing."""
        self.actions.append(Action(self._clock(), chat, thread, action))

    def find(self, chat: int, message_id: int, what: str) -> Shown:
        """Return a message that is there; raises Refused, which names it by `what`."""
        shown = self.messages.get((chat, message_id))
        if shown is None or shown.is_deleted:
            raise bad_request(f"{what} not found")
        return shown

    def screen(self, chat: int = 7, thread: int | None = None) -> list[Shown]:
        """Return what the bot's messages in a chat (or one topic of it) show now, oldest first."""
        return [
            shown
            for shown in self.messages.values()
            if shown.chat == chat and shown.from_bot and not shown.is_deleted and thread in (None, shown.thread)
        ]

    def thread_of_reply(self, chat: int, reply_to: int) -> int | None:
        """Return the thread that a reply joins in a chat without topics; only supergroups have them."""
        if self._chats.open_chat(chat).kind != "supergroup":
            return None
        return self.messages[chat, reply_to].thread or reply_to

    def as_message(self, shown: Shown, *, with_reply: bool = True) -> dict[str, Any]:
        """Return a `Message`."""
        chat = self._chats.open_chat(shown.chat)
        message: dict[str, Any] = {
            "message_id": shown.message_id,
            "chat": self._chats.as_chat(chat),
            "date": shown.date,
            **self._author(shown),
            **shown.content,
        }
        if shown.edit_date is not None:
            message["edit_date"] = shown.edit_date
        if shown.thread is not None:
            message["message_thread_id"] = shown.thread
        if shown.thread in chat.topics:
            message["is_topic_message"] = True
        if with_reply and (replied := self._replied(shown)):
            message["reply_to_message"] = self.as_message(replied, with_reply=False)
        if shown.text:
            names = ("caption", "caption_entities") if shown.content else ("text", "entities")
            message[names[0]] = shown.text
            if shown.entities:
                message[names[1]] = [dict(entity) for entity in shown.entities]
        return message

    def _author(self, shown: Shown) -> dict[str, Any]:
        chat = self._chats.open_chat(shown.chat)
        if chat.kind == "channel":
            return {"sender_chat": self._chats.as_chat(chat)}
        return {"from": dict(BOT) if shown.from_bot else self._chats.person(shown.sender).as_user()}

    def _replied(self, shown: Shown) -> Shown | None:
        """Return what a message replies to: in a topic, if nothing else, the message that tells of its creation."""
        reply_to = shown.reply_to or shown.thread
        if reply_to is None or reply_to == shown.message_id:
            return None
        replied = self.messages.get((shown.chat, reply_to))
        return None if replied is None or replied.is_deleted else replied

    def _record(self, method: str, shown: Shown) -> None:
        self.effects.append(Effect(self._clock(), method, shown.message_id, shown.text, shown.chat))


def texts(shown: Sequence[Shown]) -> list[str]:
    """Return what these messages say."""
    return [message.text for message in shown]


def styles(shown: Shown) -> list[tuple[str, frozenset[str]]]:
    """Return a message as a person sees it: piece by piece, with the kinds of formatting of each.

    Two messages look alike where this is the same, however their entities are cut.
    """
    pieces: list[tuple[str, frozenset[str]]] = []
    at = 0
    for character in shown.text:
        kinds = frozenset(
            entity["type"] for entity in shown.entities if entity["offset"] <= at < entity["offset"] + entity["length"]
        )
        at += 1 + (character > "\uffff")
        if pieces and pieces[-1][1] == kinds:
            pieces[-1] = (pieces[-1][0] + character, kinds)
        else:
            pieces.append((character, kinds))
    return pieces
