"""This module makes a Discord message's text readable: mentions become names, and lone surrogates are replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping

import discord

from channels.discord.attention import Me

__all__ = ["read_text", "whole"]

_SURROGATES = {code: "\N{REPLACEMENT CHARACTER}" for code in range(0xD800, 0xE000)}
_MARKS = re.compile(r"<(?:@!?(?P<user>\d+)|@&(?P<role>\d+)|#(?P<channel>\d+)|a?:(?P<emoji>\w+):\d+)>", re.ASCII)


def whole(text: str) -> str:
    """Return a text that can be encoded as UTF-8: lone surrogates become U+FFFD."""
    return text if text.isascii() else text.translate(_SURROGATES)


def read_text(message: discord.Message, me: Me) -> str:
    """Return the words of a message, and of what it forwards.

    A mention of the bot at the beginning is left out: what follows may be a command.
    """
    words = _without_name(message, me)
    names = _names(message, me)
    parts = [words, *(snapshot.content for snapshot in message.message_snapshots)]
    return whole("\n\n".join(_MARKS.sub(lambda mark: _shown(mark, names), part) for part in parts if part))


def _without_name(message: discord.Message, me: Me) -> str:
    own = "|".join([f"!?{me.id}", *(f"&{role.id}" for role in _own_roles(message, me))])
    return re.sub(rf"\A\s*<@(?:{own})>[\s,:]*(?=\S)", "", message.content)


def _own_roles(message: discord.Message, me: Me) -> list[discord.Role]:
    return [role for role in message.role_mentions if role.tags is not None and role.tags.bot_id == me.id]


def _names(message: discord.Message, me: Me) -> dict[tuple[str, str], str]:
    names = {("user", str(me.id)): f"@{me.name}"}
    names |= {("user", str(user.id)): f"@{user.display_name}" for user in message.mentions}
    names |= {("role", str(role.id)): f"@{role.name}" for role in message.role_mentions}
    return names | {("channel", str(channel.id)): f"#{channel.name}" for channel in message.channel_mentions}


def _shown(mark: re.Match[str], names: Mapping[tuple[str, str], str]) -> str:
    kind = mark.lastgroup or ""
    return f":{mark[kind]}:" if kind == "emoji" else names.get((kind, mark[kind]), mark[0])
