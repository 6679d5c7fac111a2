"""This module parses Discord's messages, edits, deletions and commands into the values of `channels.base`.

Messages of other bots, of webhooks and of Discord itself are ignored. The address of what is parsed is provisional: it
has the channel's id only, and `Room.place` completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import discord

from channels.base import Address, Author, FromPerson, InboundDelete, InboundEdit, InboundMessage
from channels.discord.attention import Attention, Me, attends, is_named
from channels.discord.faults import UNREADABLE
from channels.discord.files import read_files
from channels.discord.rooms import is_with_bot
from channels.discord.texts import read_text, whole

__all__ = ["Ignored", "Reader", "command_text"]

_WRITTEN = (discord.MessageType.default, discord.MessageType.reply)
"""The message types that a person writes; all others are notices of Discord."""

MOST_AUTHORS = 2_000
"""For how many messages the author is remembered: a deletion does not say who wrote the message."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """There is nothing to take in; `reason` says why, in a word."""

    reason: str


class Reader:
    """Parses what comes in for one bot, and remembers the authors of recent messages."""

    def __init__(self, me: Me, guilds: Attention) -> None:
        """Read on behalf of `me`; `guilds` says what is read in servers."""
        self._me = me
        self._guilds: Attention = guilds
        self._authors: dict[int, Author | None] = {}

    def read_message(self, message: discord.Message, *, is_direct: bool) -> FromPerson | Ignored:
        """Read a message."""
        return self._safely(lambda: self._read_message(message, is_direct=is_direct))

    def read_edit(self, message: discord.Message, *, is_direct: bool) -> FromPerson | Ignored:
        """Read an edit. In a server, one is taken even if it does not mention the bot: the message may have done so.

        If it did not, no conversation knows the message. Discord also sends this event when it adds a link's preview.
        """
        return self._safely(lambda: self._read_edit(message, is_direct=is_direct))

    def read_delete(self, message_id: int, channel_id: int, author: Author, when: datetime) -> InboundDelete:
        """Return the deletion of a message by this author."""
        return InboundDelete(self._address(channel_id), author, str(message_id), when, is_direct=False)

    def read_command(self, interaction: discord.Interaction[discord.Client]) -> FromPerson | Ignored:
        """Read a slash command."""
        return self._safely(lambda: self._read_command(interaction))

    def is_named(self, message: discord.Message) -> bool:
        """Tell whether a message mentions the bot; Discord withholds no content of one that does."""
        return is_named(message, self._me)

    def knows(self, message_id: int) -> bool:
        """Tell whether a message is among the remembered ones, which have come since the start."""
        return message_id in self._authors

    def author_of(self, message_id: int) -> Author | None:
        """Return who wrote a remembered message; None: it is not remembered, or was not taken in."""
        return self._authors.get(message_id)

    def _safely(self, read: Callable[[], FromPerson | Ignored]) -> FromPerson | Ignored:
        try:
            return read()
        except UNREADABLE:
            return Ignored("unparsable")

    def _read_message(self, message: discord.Message, *, is_direct: bool) -> FromPerson | Ignored:
        author = self._author(message.author, message.webhook_id)
        content = author if isinstance(author, Ignored) else self._content(message, author, is_direct=is_direct)
        self._authors[message.id] = content.author if isinstance(content, InboundMessage) else None
        if len(self._authors) > MOST_AUTHORS:
            del self._authors[next(iter(self._authors))]
        return content

    def _content(self, message: discord.Message, author: Author, *, is_direct: bool) -> InboundMessage | Ignored:
        if message.type not in _WRITTEN:
            return Ignored("service")
        if not is_direct and not attends(message, self._me, self._guilds):
            return Ignored("withheld" if self._is_withheld(message) else "unaddressed")
        text, files = read_text(message, self._me), read_files(message)
        if not text and not files:
            return Ignored("withheld" if not is_direct and self._is_withheld(message) else "empty")
        return InboundMessage(
            self._address(message.channel.id),
            author,
            str(message.id),
            message.created_at,
            text,
            files=files,
            is_direct=is_direct,
        )

    def _is_withheld(self, message: discord.Message) -> bool:
        """Tell whether Discord withholds a message's content: it shows none at all, though no message is sent empty."""
        shown = (
            message.content,
            message.attachments,
            message.embeds,
            message.stickers,
            message.poll,
            message.message_snapshots,
            getattr(message, "components", ()),
            message.activity,
        )
        return not any(shown) and not is_named(message, self._me) and self._guilds != "off"

    def _read_edit(self, message: discord.Message, *, is_direct: bool) -> InboundEdit | Ignored:
        author = self._author(message.author, message.webhook_id)
        if isinstance(author, Ignored):
            return author
        if message.edited_at is None or message.type not in _WRITTEN:
            return Ignored("service")
        if not is_direct and self._guilds == "off":
            return Ignored("unaddressed")
        if not is_direct and self._is_withheld(message):
            return Ignored("withheld")
        return InboundEdit(
            self._address(message.channel.id),
            author,
            str(message.id),
            message.edited_at,
            read_text(message, self._me),
            is_direct=is_direct,
        )

    def _read_command(self, interaction: discord.Interaction[discord.Client]) -> InboundMessage | Ignored:
        if interaction.channel_id is None:
            return Ignored("nowhere")
        author = self._author(interaction.user, None)
        if isinstance(author, Ignored):
            return author
        is_direct = is_with_bot(interaction)
        is_users_own = interaction.is_user_integration() and not interaction.is_guild_integration()
        if not is_direct and (interaction.guild_id is None or is_users_own):  # where the bot is not
            return Ignored("elsewhere")
        if not is_direct and self._guilds == "off":
            return Ignored("unaddressed")
        return InboundMessage(
            self._address(interaction.channel_id),
            author,
            str(interaction.id),
            interaction.created_at,
            command_text(interaction),
            is_direct=is_direct,
        )

    def _author(self, user: discord.User | discord.Member, webhook_id: int | None) -> Author | Ignored:
        if user.id == self._me.id:
            return Ignored("own")
        if webhook_id is not None or user.bot or user.system:
            return Ignored("bot")
        # An old account's name belongs to one person only together with the number behind it.
        username = user.name if user.discriminator in ("0", "0000") else ""
        return Author(str(user.id), whole(user.display_name), whole(username))

    def _address(self, channel_id: int) -> Address:
        return Address("discord", str(self._me.id), str(channel_id))


def command_text(interaction: discord.Interaction[discord.Client]) -> str:
    """Return a slash command as the text that a person would type."""
    chosen = cast(Mapping[str, Any], interaction.data or {})
    given = (str(option["value"]) for option in chosen.get("options") or () if "value" in option)
    return whole(" ".join([f"/{chosen.get('name', '')}", *given]))
