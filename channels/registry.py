"""This module builds channels by name; it is the only place that knows all of them.

A platform's library is imported when its channel is built, since it costs time and memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from channels.base import Channel
from channels.errors import ChannelUnavailable, Unreachable
from channels.introduction import Introduction
from channels.settings import ChannelsSettings
from channels.tools import Tools

__all__ = ["build_channels", "introduce"]


def build_channels(names: Sequence[str], settings: ChannelsSettings, tools: Tools) -> dict[str, Channel]:
    """Return the channels of these names, not yet connected. Raises ChannelUnavailable for one that is not built."""
    missing = [name for name in names if name not in _BUILDERS]
    if missing:
        raise ChannelUnavailable(
            f"channels_config.{missing[0]}: this version does not speak {missing[0]} yet: remove its token"
        )
    return {name: _BUILDERS[name](settings, tools) for name in names}


async def introduce(name: str, settings: ChannelsSettings, seconds: float) -> Introduction:
    """Ask a platform which bot its tokens belong to, within `seconds`. Raises the classes of `channels.errors`."""
    try:
        async with asyncio.timeout(seconds):
            return await _introduce(name, settings, seconds)
    except TimeoutError:
        raise Unreachable(f"no answer within {seconds:g} s") from None


async def _introduce(name: str, settings: ChannelsSettings, seconds: float) -> Introduction:
    match name:
        case "telegram":
            from channels.telegram.introducing import introduce_telegram

            return await introduce_telegram(settings.telegram, seconds)
        case "discord":
            from channels.discord.introducing import introduce_discord

            return await introduce_discord(settings.discord, seconds)
        case "slack":
            from channels.slack.introducing import introduce_slack

            return await introduce_slack(settings.slack, seconds)
    return Introduction("this terminal")


def _build_console(settings: ChannelsSettings, tools: Tools) -> Channel:
    from channels.console import open_console

    del settings
    return open_console(tools)


def _build_discord(settings: ChannelsSettings, tools: Tools) -> Channel:
    from channels.discord import open_discord

    return open_discord(settings.discord, tools)


def _build_telegram(settings: ChannelsSettings, tools: Tools) -> Channel:
    from channels.telegram import open_telegram

    return open_telegram(settings.telegram, tools)


def _build_slack(settings: ChannelsSettings, tools: Tools) -> Channel:
    from channels.slack import open_slack

    return open_slack(settings.slack, tools)


_BUILDERS: dict[str, Callable[[ChannelsSettings, Tools], Channel]] = {
    "console": _build_console,
    "discord": _build_discord,
    "telegram": _build_telegram,
    "slack": _build_slack,
}
