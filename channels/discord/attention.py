"""Whether a message in a server is meant for the bot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import discord

__all__ = ["Attention", "Me", "attends", "is_named"]

Attention = Literal["mention", "all", "off"]


@dataclass(frozen=True, slots=True)
class Me:
    """The bot."""

    id: int
    name: str


def attends(message: discord.Message, me: Me, guilds: Attention) -> bool:
    """Tell whether the bot attends to a message in a server, as `guilds` says: "mention" is a mention or a reply."""
    return guilds == "all" or (guilds == "mention" and (is_named(message, me) or _is_reply_to(message, me)))


def is_named(message: discord.Message, me: Me) -> bool:
    """Tell whether a message names the bot, or the role that Discord made for it; everyone is not the bot."""
    return any(user.id == me.id for user in message.mentions) or any(
        role.tags is not None and role.tags.bot_id == me.id for role in message.role_mentions
    )


def _is_reply_to(message: discord.Message, me: Me) -> bool:
    replied = message.reference.resolved if message.reference is not None else None
    return isinstance(replied, discord.Message) and replied.author.id == me.id
