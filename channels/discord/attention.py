"""This module decides whether a message in a server is meant for the bot: by a mention, a reply, or the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import discord

__all__ = ["Attention", "Me", "attends", "is_named"]

Attention = Literal["mention", "all", "off"]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own user: its id and its shown name."""

    id: int
    name: str


def attends(message: discord.Message, me: Me, guilds: Attention) -> bool:
    """Tell whether a message in a server is for the bot; "mention" wants a mention of the bot or a reply to it."""
    return guilds == "all" or (guilds == "mention" and (is_named(message, me) or _is_reply_to(message, me)))


def is_named(message: discord.Message, me: Me) -> bool:
    """Tell whether a message mentions the bot or the role that Discord made for it; `@everyone` does not count."""
    return any(user.id == me.id for user in message.mentions) or any(
        role.tags is not None and role.tags.bot_id == me.id for role in message.role_mentions
    )


def _is_reply_to(message: discord.Message, me: Me) -> bool:
    replied = message.reference.resolved if message.reference is not None else None
    return isinstance(replied, discord.Message) and replied.author.id == me.id
