"""This module registers the daemon's slash commands with Discord, and answers each use within three seconds."""

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
"""Discord's rules for a command's name and the length of its description
(https://docs.discord.com/developers/interactions/application-commands#application-command-object)."""

_CHAT_INPUT = 1
_STRING = 3
"""Discord's numbers for the types of a command and of an option."""

_OPTION = "text"


async def list_commands(connection: Connection, tools: Tools, waits: Waits) -> None:
    """Register the daemon's commands with Discord, unless the same ones are; a refusal is only logged."""
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
    """Answer a command with a line once it is on disk; if that takes long, defer the answer first.

    `hidden`: only the person who used the command sees the answer.
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
    """Defer the answer. Raises what refused it or kept it from being sent; one that may have arrived counts as made."""
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
    """Fill in the deferred answer once the command is on disk; until then Discord shows that the bot is thinking."""
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
    """Return a command's options for Discord: at most one text, since the daemon parses a command from its text."""
    if argument is None:
        return []
    described = {"name": _OPTION, "description": argument.does[:MOST_DESCRIPTION]}
    return [{**described, "type": _STRING, "required": argument.is_needed}]


def _simply(commands: Any) -> list[tuple[Any, ...]]:
    """Return commands, or their options, in a form in which ours and Discord's can be compared."""
    told = [command for command in commands if isinstance(command, dict)]
    keys = ("name", "description", "type")
    return sorted(
        (*(str(one.get(key)) for key in keys), bool(one.get("required")), _simply(one.get("options") or ()))
        for one in told
    )
