"""What discord.py is told for the whole process; it is imported first here, since it warns of itself when it is."""

from __future__ import annotations

import logging
import warnings

with warnings.catch_warnings():
    # discord.py imports `audioop` for voice, which Python 3.13 has no more.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord
    import discord.gateway
    import discord.http
    import yarl

__all__ = ["build_intents", "point_at", "tame_library"]

_API = "https://discord.com/api/v10"
_GATEWAY = "wss://gateway.discord.gg/"


def tame_library() -> None:
    """Let it log nothing: what people wrote would stand there, and what is wrong is said by the channel."""
    logging.getLogger("discord").setLevel(logging.CRITICAL + 1)


def point_at(api_base_url: str, gateway_url: str) -> None:
    """Let it call another server. It knows only one for the whole process."""
    discord.http.Route.BASE = api_base_url.rstrip("/") or _API
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url or _GATEWAY)


def build_intents(*, reads_guilds: bool) -> discord.Intents:
    """Return what the gateway is asked to send: no members, no presences, no reactions, no typing.

    Without servers nothing is asked for that has to be switched on for the bot.
    """
    return discord.Intents(
        dm_messages=True, guilds=reads_guilds, guild_messages=reads_guilds, message_content=reads_guilds
    )
