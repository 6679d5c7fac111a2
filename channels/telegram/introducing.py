"""This module asks Telegram which bot a token belongs to, for `agentd init` and `check`.

It does not poll, so that a daemon running with the same token is not disturbed.
"""

from __future__ import annotations

from dataclasses import replace

from channels.errors import ChannelUnavailable
from channels.introduction import Introduction
from channels.settings import TelegramSettings
from channels.telegram.channel import say_unknown
from channels.telegram.connection import Connection
from channels.telegram.faults import TokenRefused
from channels.telegram.waits import WAITS

__all__ = ["introduce_telegram"]


async def introduce_telegram(settings: TelegramSettings, seconds: float) -> Introduction:
    """Return who the bot is, within `seconds`. Raises the classes of `channels.errors`."""
    # The caller's time limit is the one that counts: were all the same, the second would cut the closing.
    connection = Connection(settings, replace(WAITS, connect_seconds=2 * seconds, call_seconds=2 * seconds))
    try:
        user = await connection.get_me()
    except TokenRefused as fault:
        raise ChannelUnavailable(say_unknown(settings, fault)) from None
    finally:
        await connection.close()
    lacks = ""
    if settings.groups == "all" and not user.can_read_all_group_messages:
        lacks = "its privacy mode is on, and hides groups from it: turn it off with /setprivacy at @BotFather"
    return Introduction(f"the bot @{user.username}", f"Write to it: https://t.me/{user.username}", lacks)
