"""This module asks Discord which bot a token belongs to, for `agentd init` and `check`.

It begins no gateway session, so that a daemon running with the same token is not disturbed.
"""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any, Final

import discord

from channels.discord.channel import say_unknown
from channels.discord.connection import Connection
from channels.discord.faults import TokenRefused
from channels.discord.waits import WAITS
from channels.errors import ChannelUnavailable
from channels.introduction import Introduction
from channels.settings import DiscordSettings

__all__ = ["introduce_discord"]

PERMISSIONS: Final = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, read_message_history=True
)
"""The permissions that the bot needs in a server."""

_SITE: Final = "https://discord.com/developers/applications"


async def introduce_discord(settings: DiscordSettings, seconds: float) -> Introduction:
    """Return who the bot is, within `seconds`. Raises the classes of `channels.errors`."""
    # The caller's time limit is the one that counts: were both the same, the second would cut the closing.
    connection = Connection(settings, monotonic, replace(WAITS, call_seconds=2 * seconds))
    try:
        client = await connection.log_in()
        _shards, _address, starts = await connection.call(lambda client: client.http.get_bot_gateway())
        lacks = "; ".join(filter(None, (_unseen(client.application_flags, settings), _used_up(starts))))
        return Introduction(f"the bot {client.user}", _way(client.application_id), lacks)
    except TokenRefused:
        raise ChannelUnavailable(say_unknown(settings)) from None
    finally:
        await connection.close()


def _unseen(flags: discord.ApplicationFlags, settings: DiscordSettings) -> str:
    """Return what is wrong if Message Content Intent, as the application's flags show it, is off and needed."""
    if settings.guilds == "off" or flags.gateway_message_content or flags.gateway_message_content_limited:
        return ""
    return (
        f"Message Content Intent is off: switch it on at {_SITE}, the application, Bot, Privileged Gateway Intents, "
        'or set channels_config.discord.guilds = "off"'
    )


def _used_up(starts: Any) -> str:
    """Return what is wrong if the bot may begin no more gateway sessions today
    (https://docs.discord.com/developers/events/gateway#session-start-limit-object).
    """
    left = starts.get("remaining", 1) if isinstance(starts, dict) else 1
    return "" if left else "Discord lets this bot begin no more sessions today: look in the log why it began so many"


def _way(application: int | None) -> str:
    query = f"client_id={application}&scope=bot+applications.commands&permissions={PERMISSIONS.value}"
    return f"Invite it to a server of yours, then write to it in private: https://discord.com/oauth2/authorize?{query}"
