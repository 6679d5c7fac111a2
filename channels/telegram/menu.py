"""This module registers the daemon's commands with Telegram, whose clients list them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import structlog
from telegram import BotCommand
from telegram.constants import BotCommandLimit

from channels.errors import ChannelError
from channels.telegram.connection import Connection

__all__ = ["list_commands"]

log = structlog.get_logger()

_NAME = re.compile(r"[a-z0-9_]{1,32}")
"""Telegram's rule for a command's name (Bot API, BotCommand)."""


async def list_commands(connection: Connection, commands: Mapping[str, str]) -> None:
    """Register the daemon's commands with Telegram, unless the same ones are; a failure is only logged."""
    wanted = tuple(
        BotCommand(name, does[: BotCommandLimit.MAX_DESCRIPTION])
        for name, does in commands.items()
        if does and _NAME.fullmatch(name)
    )
    try:
        if await connection.call(lambda bot: bot.get_my_commands()) != wanted:
            await connection.call(lambda bot: bot.set_my_commands(wanted))
            log.info("commands_listed", channel="telegram", count=len(wanted))
    except ChannelError as fault:
        log.warning("commands_not_listed", channel="telegram", fault=str(fault))
