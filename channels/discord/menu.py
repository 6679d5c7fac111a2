"""The list of commands that Discord's clients offer, and the answer that each wants at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any

import discord
import structlog

from channels.discord.connection import Connection
from channels.discord.offers import persevere
from channels.discord.waits import Waits
from channels.errors import ChannelError, NotSent, SendFailed, Unreachable
from channels.tools import Argument, Tools

__all__ = ["answer_command", "list_commands"]

log = structlog.get_logger()

MOST_DESCRIPTION = 100
_NAME = re.compile(r"[a-z0-9_-]{1,32}")
"""What a command may be called, and how long it may be described
(https://docs.discord.com/developers/interactions/application-commands#application-command-object)."""

_CHAT_INPUT = 1
_STRING = 3
"""Types of a command, and of an option, in Discord's numbers."""

_OPTION = "text"


async def list_commands(connection: Connection, tools: Tools, waits: Waits) -> None:
    """Let Discord list what the daemon understands, unless it does; a refusal is only logged."""
    wanted: list[dict[str, Any]] = [
        {
            "name": name,
            "description": does[:MOST_DESCRIPTION],
            "type": _CHAT_INPUT,
            "options": _options(tools.arguments.get(name)),
        }
        for name, does in tools.commands.items()
        if does and _NAME.fullmatch(name)
    ]
    client = await connection.log_in()
    application = client.application_id or 0
    try:
        listed: Any = await persevere(
            lambda: connection.call(lambda client: client.http.get_global_commands(application)), waits
        )
        if _simply(listed) != _simply(wanted):
            await persevere(
                lambda: connection.call(lambda client: client.http.bulk_upsert_global_commands(application, wanted)),
                waits,
            )
            log.info("commands_listed", channel="discord", count=len(wanted))
    except SendFailed as fault:
        log.warning("commands_not_listed", channel="discord", fault=str(fault))


async def answer_command(
    connection: Connection,
    interaction: discord.Interaction[discord.Client],
    line: str,
    accepted: asyncio.Event,
    waits: Waits,
    *,
    hidden: bool,
) -> None:
    """Say a line once what was asked is on disk; where that takes long, say before that it will be.

    `hidden`: to nobody but who asked.
    """
    try:
        if await _within(waits.defer_seconds, accepted.wait()):
            await connection.call(lambda _: interaction.response.send_message(line, ephemeral=hidden))
            return
        await _promise(connection, interaction, hidden=hidden)
        if not await _within(waits.answer_seconds, _keep_promise(connection, interaction, line, accepted, waits)):
            log.warning("command_not_answered", channel="discord", fault="the time for an answer is over")
    except ChannelError as fault:
        log.warning("command_not_answered", channel="discord", fault=str(fault))


async def _promise(connection: Connection, interaction: discord.Interaction[discord.Client], *, hidden: bool) -> None:
    """Promise an answer, unless that is refused or does not leave; one that may have arrived is kept like any."""
    try:
        await connection.call(lambda _: interaction.response.defer(ephemeral=hidden, thinking=True))
    except NotSent:
        raise
    except Unreachable as fault:
        log.info("command_promised", channel="discord", fault=str(fault))


async def _keep_promise(
    connection: Connection,
    interaction: discord.Interaction[discord.Client],
    line: str,
    accepted: asyncio.Event,
    waits: Waits,
) -> None:
    """Answer once what was asked is on disk: until then, Discord shows that the bot thinks."""
    await accepted.wait()
    await persevere(lambda: connection.call(lambda _: interaction.edit_original_response(content=line)), waits)


async def _within(seconds: float, work: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    return True


def _options(argument: Argument | None) -> list[dict[str, Any]]:
    """Return what Discord asks for: one text, since the daemon reads a command as it would be written."""
    if argument is None:
        return []
    described = {"name": _OPTION, "description": argument.does[:MOST_DESCRIPTION]}
    return [{**described, "type": _STRING, "required": argument.is_needed}]


def _simply(commands: Any) -> list[tuple[Any, ...]]:
    """Return what tells commands, or their options, apart, of ours or of Discord's description of them."""
    told = [command for command in commands if isinstance(command, dict)]
    keys = ("name", "description", "type")
    return sorted(
        (*(str(one.get(key)) for key in keys), bool(one.get("required")), _simply(one.get("options") or ()))
        for one in told
    )
