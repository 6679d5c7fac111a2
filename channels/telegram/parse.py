"""This module parses Telegram's updates into the values of `channels.base`.

Messages without a known person behind them are ignored: those of anonymous administrators, those in the name of a
channel or a group, and what Telegram forwards by itself. So are other bots, and service messages, except for a chat's
move to a new id. What a person sends through an inline bot, or forwards, counts as that person's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from telegram import ChatMemberUpdated, Message, Update
from telegram.constants import MessageLimit
from telegram.error import TelegramError

from channels.base import Address, Author, Inbound, InboundEdit, InboundMessage, InboundMove
from channels.telegram.attention import Attention, Me, attends
from channels.telegram.faults import UNREADABLE
from channels.telegram.files import read_files, whole

__all__ = ["Ignored", "Read", "Reader", "Standing"]

CUT_UNITS = MessageLimit.MAX_TEXT_LENGTH - 96
"""A text of this many UTF-16 units or more is taken to be cut by the client: at the limit, or after a word before it.

A client that cuts after a paragraph leaves a shorter text, which does not show that a rest follows: the rest comes at
once, and joins the turn as any message does that follows soon.
"""

FIRST_YEAR, LAST_YEAR = 2013, 2200
"""The years in which a message's date is believed: from Telegram's beginning to one that leaves room for arithmetic."""

MOST_ALBUMS = 200
"""How many albums are remembered as meant for the bot; an album's parts come within seconds."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """There is nothing to take in; `reason` says why, in a word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The bot was added to a chat, or removed from it or blocked; `is_member` says which."""

    is_member: bool


@dataclass(frozen=True, slots=True)
class Read:
    """One parsed update; `chat` is the id of its chat, empty if that is not known."""

    update_id: int
    chat: str
    content: Inbound | Ignored | Standing
    is_forum: bool = False

    @property
    def moves(self) -> bool:
        """Whether this is a chat's move to a new id, which is taken in alone: after all before it, before all after."""
        return isinstance(self.content, InboundMove)


class Reader:
    """Parses the updates of one bot. It remembers which albums are meant for the bot: only one part mentions it."""

    def __init__(self, me: Me, groups: Attention) -> None:
        """Read on behalf of `me`; `groups` says what is read in groups."""
        self._me = me
        self._groups: Attention = groups
        self._albums: dict[str, None] = {}

    def read(self, raws: Sequence[Mapping[str, Any]]) -> list[Read]:
        """Parse the updates of one answer, in their order."""
        updates = [(raw["update_id"], self._parse(raw)) for raw in raws]
        return [self._read(update_id, update) for update_id, update in updates]

    def _parse(self, raw: Mapping[str, Any]) -> Update | None:
        """Parse one update with the library, and note its album; None if the library cannot read it."""
        try:
            update = Update.de_json(dict(raw))
            if update.message is not None:
                self._remember(update.message)
        except (TelegramError, *UNREADABLE):
            return None
        return update

    def _remember(self, message: Message) -> None:
        if message.media_group_id and attends(message, self._me, self._groups):
            self._albums[message.media_group_id] = None
            if len(self._albums) > MOST_ALBUMS:
                del self._albums[next(iter(self._albums))]

    def _read(self, update_id: int, update: Update | None) -> Read:
        try:
            if update is not None:
                return self._understand(update_id, update)
        except UNREADABLE:
            pass
        return Read(update_id, "", Ignored("unparsable"))

    def _understand(self, update_id: int, update: Update) -> Read:
        if update.my_chat_member is not None:
            return Read(update_id, str(update.my_chat_member.chat.id), _standing(update.my_chat_member))
        message = update.message or update.edited_message
        if message is None:
            return Read(update_id, "", Ignored("other"))
        content = self._content(message, is_edit=update.message is None)
        return Read(update_id, str(message.chat.id), content, bool(message.chat.is_forum))

    def _content(self, message: Message, *, is_edit: bool) -> Inbound | Ignored:
        move = self._move(message)
        if move is not None:
            return move
        person = message.from_user
        if person is None or message.sender_chat is not None:
            return Ignored("nobody")
        if person.is_bot:
            return Ignored("bot")
        if not FIRST_YEAR <= message.date.year <= LAST_YEAR:
            return Ignored("unparsable")
        author = Author(str(person.id), whole(person.full_name), whole(person.username or ""))
        return self._edit(message, author) if is_edit else self._message(message, author)

    def _move(self, message: Message) -> InboundMove | None:
        """Parse either message of a move: the old chat's names the new id, the new chat's the old one."""
        if message.migrate_to_chat_id:
            return InboundMove(self._address(message), str(message.migrate_to_chat_id))
        if message.migrate_from_chat_id:
            old = Address("telegram", str(self._me.id), str(message.migrate_from_chat_id))
            return InboundMove(old, str(message.chat.id))
        return None

    def _message(self, message: Message, author: Author) -> InboundMessage | Ignored:
        text, files, album = _text(message), read_files(message), message.media_group_id
        if not text and not files:
            return Ignored("service")
        if album not in self._albums and not attends(message, self._me, self._groups):
            return Ignored("unaddressed")
        return InboundMessage(
            self._address(message),
            author,
            str(message.message_id),
            message.date.astimezone(UTC),
            text,
            files=files,
            album=whole(album) if album else None,
            goes_on=bool(album) or len(text.encode("utf-16-le")) // 2 >= CUT_UNITS,
            is_direct=_is_direct(message),
        )

    def _edit(self, message: Message, author: Author) -> InboundEdit | Ignored:
        """Parse an edit. In a group, one is taken even if it does not mention the bot: the message may have done so.

        If it did not, no conversation knows the message. A live location is ignored: it is edited all the time.
        """
        if message.location is not None:
            return Ignored("location")
        if self._groups == "off" and message.chat.type != message.chat.PRIVATE:
            return Ignored("unaddressed")
        edited_at: datetime = message.edit_date or message.date
        return InboundEdit(
            self._address(message),
            author,
            str(message.message_id),
            edited_at.astimezone(UTC),
            _text(message),
            is_direct=_is_direct(message),
        )

    def _address(self, message: Message) -> Address:
        """Return a message's address; only topics other than General are threads, replies outside of topics are not."""
        thread = str(message.message_thread_id) if message.is_topic_message else None
        return Address("telegram", str(self._me.id), str(message.chat.id), thread)


def _standing(change: ChatMemberUpdated) -> Standing:
    return Standing(change.new_chat_member.status not in ("left", "kicked"))


def _is_direct(message: Message) -> bool:
    return bool(message.chat.type == message.chat.PRIVATE)


def _text(message: Message) -> str:
    return whole(message.text or message.caption or "")
