"""The Discord channel runs one bot: it calls the REST API through discord.py, and reads the gateway in its own loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any, cast

import discord
import structlog

from channels.base import Accept, Address, Places, RemoteFile
from channels.discord.connection import Client, Connection
from channels.discord.dialect import DISCORD, write_markdown
from channels.discord.downloads import Downloads
from channels.discord.faults import ForeignRefusal, Refusal, TokenRefused, is_gone
from channels.discord.listening import Listener
from channels.discord.menu import list_commands
from channels.discord.waits import WAITS, Waits
from channels.errors import ChannelError, ChannelUnavailable, RateLimited, SendFailed
from channels.health import Health
from channels.markup.characters import is_blank
from channels.markup.rich import RichText, plain
from channels.pacing import Rate, Rates
from channels.settings import DiscordSettings
from channels.tools import Tools

__all__ = ["RATES", "DiscordChannel", "open_discord", "say_unknown"]

log = structlog.get_logger()

RATES = Rates(chat=Rate(4, 5.3), over_all=Rate(45, 1.1))
"""Five messages, and five edits, in 5 s in a channel, as `X-RateLimit-Limit` says with each answer; 50 calls a second
over all (https://docs.discord.com/developers/topics/rate-limits#global-rate-limit). An edit counts like a message here.
It uses one less than the five, since discord.py keeps the last one's answer back until there is room again, and leaves
a few of the fifty for fetching. The fractions of a second are for the network.
"""

MOST_NONCE = 25
"""The longest nonce, in characters (https://docs.discord.com/developers/resources/message#create-message)."""

NOTHING_VISIBLE = "(There is nothing to see in this message.)"
"""Stands for a text that Discord would refuse as empty."""

_NOBODY = discord.AllowedMentions.none()


class DiscordChannel:
    """The channel of one Discord bot. Messages can be sent before and after `run`, too."""

    name = "discord"
    streams = True
    dialect = DISCORD
    rates = RATES
    nonce_seconds = 120.0
    """Discord looks for a nonce among the messages of "the past few minutes", which is taken to mean at least two."""
    typing_seconds = 10.0
    """https://docs.discord.com/developers/resources/channel#trigger-typing-indicator"""

    def __init__(self, settings: DiscordSettings, tools: Tools, waits: Waits = WAITS) -> None:
        """Prepare, without a call. Raises ChannelUnavailable for invalid settings."""
        self.health = Health(tools.monotonic, waits.patience_seconds)
        self._settings = settings
        self._tools = tools
        self._waits = waits
        self._connection = Connection(settings, tools.monotonic, waits)
        self._downloads = Downloads(tools.monotonic, waits)

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive until cancelled. Raises ChannelUnavailable if Discord refuses the bot at the start."""
        client = await self._introduce()
        listener = Listener(self._connection, self._settings.guilds, self.health, self._waits, self._tell)
        try:
            async with asyncio.TaskGroup() as tasks:
                listing = list_commands(self._connection, self._tools, self._waits)
                tasks.create_task(listing, name="discord commands")
                await listener.run(client, accept, places)
        except ExceptionGroup as group:
            refused = group.subgroup(ChannelUnavailable)
            if refused is None:
                raise
            raise _first(refused) from None

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send one message; within `nonce_seconds`, one with the same nonce returns the first one's id."""
        shown = _shown(text)

        async def call(client: Client) -> str:
            channel = client.get_partial_messageable(_number(to.thread or to.chat))
            short = cast(Any, _short(nonce) if nonce else None)
            message = await channel.send(shown, nonce=short, allowed_mentions=_NOBODY, suppress_embeds=True)
            return str(message.id)

        return await self._connection.call(call)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Replace a message's text."""
        shown, number = _shown(text), _number(message_id)

        async def call(client: Client) -> None:
            channel = client.get_partial_messageable(_number(to.thread or to.chat))
            await channel.get_partial_message(number).edit(content=shown, allowed_mentions=_NOBODY)

        await self._connection.call(call)

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message; one that is gone already is no fault."""
        number = _number(message_id)

        async def call(client: Client) -> None:
            channel = client.get_partial_messageable(_number(to.thread or to.chat))
            await channel.get_partial_message(number).delete()

        try:
            await self._connection.call(call)
        except SendFailed as fault:
            if not is_gone(fault):
                raise

    async def show_typing(self, to: Address) -> None:
        """Show the typing indicator, for some seconds."""
        place = _number(to.thread or to.chat)
        await self._connection.call(lambda client: client.http.send_typing(place))

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        return self._downloads.fetch(file)

    async def close(self) -> None:
        """Close every connection; a call after that makes new ones."""
        await self._connection.close()

    async def _introduce(self) -> Client:
        """Log in, retrying with a growing pause while the network or Discord cannot be reached."""
        for tries in count():
            try:
                return await self._connection.log_in()
            except TokenRefused:
                raise ChannelUnavailable(say_unknown(self._settings)) from None
            except (Refusal, ForeignRefusal) as fault:
                if self._settings.api_base_url:
                    raise ChannelUnavailable(
                        f"channels_config.discord.api_base_url: what is there is not Discord's API ({fault})"
                    ) from None
                reason: ChannelError = fault
            except ChannelError as fault:
                reason = fault
            seconds = (
                reason.retry_after_seconds if isinstance(reason, RateLimited) else self._waits.network.after(tries)
            )
            self.health.fault = f"Discord cannot be reached: {reason}"
            self.health.tried(seconds)
            log.warning("discord_unavailable", fault=self.health.fault, seconds=seconds)
            await asyncio.sleep(seconds)
        raise AssertionError

    async def _tell(self, to: Address, text: str) -> None:
        try:
            await self.send(to, plain(text), "")
        except ChannelError as fault:
            log.warning("sender_not_told", channel="discord", fault=str(fault))


def open_discord(settings: DiscordSettings, tools: Tools) -> DiscordChannel:
    """Return the channel of one bot, not yet connected."""
    return DiscordChannel(settings, tools)


def say_unknown(settings: DiscordSettings) -> str:
    """Return the sentence for a refused token, which says what to change."""
    what = "copy it again: the application at https://discord.com/developers/applications, Bot, Reset Token"
    if settings.api_base_url:
        return (
            "channels_config.discord.token: the server at channels_config.discord.api_base_url does not know this "
            f"token: {what}, or correct the address"
        )
    return f"channels_config.discord.token: Discord does not know this token: {what}"


def _first(group: BaseExceptionGroup[ChannelUnavailable]) -> ChannelUnavailable:
    fault = group.exceptions[0]
    return _first(fault) if isinstance(fault, BaseExceptionGroup) else fault


def _shown(text: RichText) -> str:
    return NOTHING_VISIBLE if is_blank(text.text) else write_markdown(text)


def _short(nonce: str) -> str:
    """Return a nonce that is short enough for Discord: a hash of one that is too long."""
    return nonce if len(nonce) <= MOST_NONCE else hashlib.sha256(nonce.encode()).hexdigest()[:MOST_NONCE]


def _number(text: str) -> int:
    """Return an id as a number."""
    if not text.isascii() or not text.isdigit():
        raise SendFailed(f"Discord has no id {text!r}")
    return int(text)
