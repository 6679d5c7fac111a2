"""This module decides whether a message in a group is meant for the bot: by a mention, a reply, or the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from telegram import Message, MessageEntity

__all__ = ["Attention", "Me", "attends"]

Attention = Literal["mention", "all", "off"]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own user: its id, and its @name without the @."""

    id: int
    username: str


def attends(message: Message, me: Me, groups: Attention) -> bool:
    """Tell whether a message is for the bot: always in private chats, in a group as `groups` says.

    A command at the beginning that names another bot is for that bot alone. A reply to the bot counts; but a reply to
    the service message that opens a topic does not, since every message of the topic may come as one.
    """
    if message.chat.type == message.chat.PRIVATE:
        return True
    if groups == "off" or _is_for_another(message, me):
        return False
    return (
        groups == "all" or _is_reply_to(message, me) or any(_names(message, entity, me) for entity in _marks(message))
    )


def _is_for_another(message: Message, me: Me) -> bool:
    commands = [mark for mark in _marks(message) if mark.type == mark.BOT_COMMAND and mark.offset == 0]
    _, _, name = _text_of(message, commands[0]).partition("@") if commands else ("", "", "")
    return bool(name) and name.lower() != me.username.lower()


def _is_reply_to(message: Message, me: Me) -> bool:
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created is not None:
        return False
    return replied.from_user is not None and replied.from_user.id == me.id


def _names(message: Message, mark: MessageEntity, me: Me) -> bool:
    if mark.type == mark.TEXT_MENTION:
        return mark.user is not None and mark.user.id == me.id
    if mark.type not in (mark.MENTION, mark.BOT_COMMAND):
        return False
    _, _, name = _text_of(message, mark).partition("@")
    return bool(name) and name.lower() == me.username.lower()


def _marks(message: Message) -> Sequence[MessageEntity]:
    return message.entities or message.caption_entities


def _text_of(message: Message, mark: MessageEntity) -> str:
    """Return the text under a mark, whose position counts UTF-16 units."""
    units = (message.text or message.caption or "").encode("utf-16-le", "surrogatepass")
    return units[2 * mark.offset : 2 * (mark.offset + mark.length)].decode("utf-16-le", "replace")
