"""From Telegram's updates to what the daemon takes in.

Who cannot be told apart is nobody: anonymous administrators, whoever speaks for a channel or a group, and what
Telegram forwards by itself. Other bots are ignored, and so is what a chat says of itself, but for its move to another
id. What a person sends through an inline bot, or forwards, is the person's.
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
"""A text of this many UTF-16 units or more was cut by the client: at the limit, or after the last word before it.

A client that cuts after a paragraph leaves a shorter text, which says nothing of its rest: that comes at once, and
joins the turn as any message does that follows soon.
"""

FIRST_YEAR, LAST_YEAR = 2013, 2200
"""Between Telegram's beginning and a time that calculating with times can go beyond."""

MOST_ALBUMS = 200
"""Albums that are remembered as meant for the bot; an album's parts come within seconds."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to take in, and why, in a word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the bot may write in a chat from now on."""

    is_member: bool


@dataclass(frozen=True, slots=True)
class Read:
    """One update; `chat` is where it happened, empty where that cannot be told."""

    update_id: int
    chat: str
    content: Inbound | Ignored | Standing
    is_forum: bool = False

    @property
    def moves(self) -> bool:
        """Tell whether everything before it must be done before it, and it before everything after."""
        return isinstance(self.content, InboundMove)


class Reader:
    """Reads the updates of one bot. It remembers which albums are meant for the bot: one part alone says so."""

    def __init__(self, me: Me, groups: Attention) -> None:
        """Read on behalf of `me`; `groups` says what is read in groups."""
        self._me = me
        self._groups: Attention = groups
        self._albums: dict[str, None] = {}

    def read(self, raws: Sequence[Mapping[str, Any]]) -> list[Read]:
        """Read updates that came together, in their order."""
        updates = [(raw["update_id"], self._parse(raw)) for raw in raws]
        return [self._read(update_id, update) for update_id, update in updates]

    def _parse(self, raw: Mapping[str, Any]) -> Update | None:
        """Let the library read one update, and note its album; None where it cannot."""
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
        """Read the two messages of a move: the old chat says where it goes, the new one where it comes from."""
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
        """Read an edit. One in a group is taken whoever it names: the message may have been meant for the bot.

        What was not is known to no conversation. A live location is edited all the time.
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
        """Return where it was written. A reply thread outside topics is no place of its own, nor is General."""
        thread = str(message.message_thread_id) if message.is_topic_message else None
        return Address("telegram", str(self._me.id), str(message.chat.id), thread)


def _standing(change: ChatMemberUpdated) -> Standing:
    return Standing(change.new_chat_member.status not in ("left", "kicked"))


def _is_direct(message: Message) -> bool:
    return bool(message.chat.type == message.chat.PRIVATE)


def _text(message: Message) -> str:
    return whole(message.text or message.caption or "")
