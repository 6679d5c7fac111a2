"""This module holds people, chats of every kind and their topics, and whether the bot is in them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.platforms.botapi.answers import Refused, bad_request

BOT: Final = {"id": 100, "is_bot": True, "first_name": "Agentd", "username": "agentd_bot"}

Kind = Literal["private", "group", "supergroup", "channel"]
Membership = Literal["member", "kicked", "left"]

SUPERGROUPS: Final = -1_000_000_000_000
"""The ids of supergroups and channels lie below (https://core.telegram.org/api/bots/ids)."""
GENERAL: Final = 1
"""The topic that every forum has; its messages name no topic."""


@dataclass(slots=True)
class Person:
    """Who writes: a human, unless it is another bot."""

    id: int
    first_name: str
    username: str | None = None
    is_bot: bool = False

    def as_user(self) -> dict[str, Any]:
        """Return a `User`."""
        if self.id == BOT["id"]:
            return dict(BOT)
        user = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        return user | ({"username": self.username} if self.username else {})


@dataclass(slots=True)
class Chat:
    """One chat; in a private one, its id is the person's."""

    id: int
    kind: Kind
    title: str = ""
    username: str | None = None
    is_forum: bool = False
    topics: set[int] = field(default_factory=set)
    """The ids of a forum's topics: those of the messages that tell of their creation."""
    membership: Membership = "member"
    moved_to: int | None = None
    """The supergroup that a group has become."""

    def check_access(self) -> None:
        """Raise Refused where the bot cannot speak."""
        if self.moved_to is not None:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, words, migrate_to=self.moved_to)
        name = "group" if self.kind == "group" else self.kind
        if self.membership == "kicked":
            by_whom = "blocked by the user" if self.kind == "private" else f"kicked from the {name} chat"
            raise Refused(403, f"Forbidden: bot was {by_whom}")
        if self.membership == "left":
            raise Refused(403, f"Forbidden: bot is not a member of the {name} chat")


class Chats:
    """All of them, known by what was written in them or by being opened."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self.people: dict[int, Person] = {}
        self.chats: dict[int, Chat] = {}
        self._own: Iterator[int] = itertools.count(1)
        """Message ids of one account: of its private chats and groups together."""
        self._of_supergroups: dict[int, Iterator[int]] = defaultdict(lambda: itertools.count(1))

    def person(self, person_id: int) -> Person:
        """Return a person, with a name made up if nobody has given one."""
        return self.people.setdefault(person_id, Person(person_id, f"Person {person_id}"))

    def name_person(
        self, person_id: int, first_name: str, username: str | None = None, *, is_bot: bool = False
    ) -> Person:
        """Name a person, for every message from here on; `is_bot` makes it another bot."""
        self.people[person_id] = Person(person_id, first_name, username, is_bot)
        return self.people[person_id]

    def open_chat(
        self,
        chat_id: int,
        kind: Kind | None = None,
        *,
        title: str = "",
        username: str | None = None,
        forum: bool = False,
    ) -> Chat:
        """Return a chat, a new one if it is not known; its kind shows in its id, but for channels."""
        if chat_id not in self.chats:
            by_id: Kind = "private" if chat_id > 0 else "group" if chat_id > SUPERGROUPS else "supergroup"
            chat = Chat(chat_id, kind or by_id, title or f"Chat {chat_id}", username, forum)
            self.chats[chat_id] = chat
        return self.chats[chat_id]

    def find(self, chat_id: int | str) -> Chat:
        """Return a chat that the bot may speak in, by id or @name; raises Refused."""
        if str(chat_id) == "":
            raise bad_request("chat_id is empty")
        for chat in self.chats.values():
            by_name = chat.kind != "private" and chat.username and f"@{chat.username}" == chat_id
            if by_name or str(chat.id) == str(chat_id):
                chat.check_access()
                return chat
        raise bad_request("chat not found")

    def next_message_id(self, chat: Chat) -> int:
        """Return the id of a chat's next message: supergroups and channels count by themselves."""
        return next(self._own if chat.kind in ("private", "group") else self._of_supergroups[chat.id])

    def as_chat(self, chat: Chat) -> dict[str, Any]:
        """Return a `Chat`."""
        if chat.kind == "private":
            person = self.person(chat.id).as_user()
            return {"id": chat.id, "type": "private"} | {
                name: person[name] for name in ("first_name", "username") if name in person
            }
        shown: dict[str, Any] = {"id": chat.id, "type": chat.kind, "title": chat.title}
        if chat.username:
            shown["username"] = chat.username
        return shown | ({"is_forum": True} if chat.is_forum else {})

    def check_thread(self, chat: Chat, thread: int | None, *, is_general_known: bool = False) -> int | None:
        """Return the topic that a call speaks of, where the chat has topics; raises Refused."""
        if thread is None or (is_general_known and thread == GENERAL and chat.is_forum):
            return None
        if chat.is_forum or chat.kind == "private":
            if thread not in chat.topics:
                raise bad_request("message thread not found")
            return thread
        return None
