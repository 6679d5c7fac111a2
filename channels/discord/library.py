"""This module sets discord.py up for the whole process, and is the first to import it, which silences its warning."""

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
    """Switch discord.py's logging off: it would log what people wrote, and the channel reports faults itself."""
    logging.getLogger("discord").setLevel(logging.CRITICAL + 1)


def point_at(api_base_url: str, gateway_url: str) -> None:
    """Point discord.py at another server, or back at Discord; it knows only one for the whole process."""
    discord.http.Route.BASE = api_base_url.rstrip("/") or _API
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url or _GATEWAY)


def build_intents(*, reads_guilds: bool) -> discord.Intents:
    """Return the gateway intents: messages, and with `reads_guilds` servers and their messages' content.

    Without servers no privileged intent is asked for, so that nothing has to be switched on for the bot.
    """
    return discord.Intents(
        dm_messages=True, guilds=reads_guilds, guild_messages=reads_guilds, message_content=reads_guilds
    )
