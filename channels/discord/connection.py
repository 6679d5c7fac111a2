"""This module makes REST calls through discord.py's `Client`, with a timeout on every call and one tree of errors.

The first call logs in, and the client is kept. The gateway uses the same client, whose caches are emptied whenever a
new gateway session begins.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import discord
from discord.gateway import DiscordWebSocket

from channels.discord.calls import CALL, Call, TooMany, build_trace
from channels.discord.faults import FAULTS, translate
from channels.discord.library import build_intents, point_at, tame_library
from channels.discord.waits import Waits
from channels.errors import ChannelUnavailable, RateLimited
from channels.settings import DiscordSettings

__all__ = ["Client", "Connection", "Hear"]

T = TypeVar("T")

Hear = Callable[[str, tuple[Any, ...]], None]
"""Takes a gateway event: its name and its arguments."""


class Client(discord.Client):
    """discord.py's client, which passes events on in order instead of starting a task for each."""

    def __init__(self, hear: Hear, **options: Any) -> None:
        """Hand events to `hear`."""
        self._hear = hear
        super().__init__(**options)

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Pass an event on to `hear`."""
        del kwargs
        self._hear(event, args)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Skip the library's wait before an identify: the gateway's loop has waited already."""


class Connection:
    """Calls Discord for one bot. Every fault leaves it as a class of `channels.errors`."""

    def __init__(self, settings: DiscordSettings, monotonic: Callable[[], float], waits: Waits) -> None:
        """Prepare, without a call. Raises ChannelUnavailable for invalid settings."""
        _check(settings)
        tame_library()
        point_at(settings.api_base_url, settings.gateway_url)
        self._token = settings.token.get_secret_value()
        self._secret = re.compile(re.escape(self._token))
        self.is_elsewhere = bool(settings.gateway_url)
        """Whether the gateway's address is configured."""
        self._reads_guilds = settings.guilds != "off"
        self._monotonic = monotonic
        self._waits = waits
        self._client: Client | None = None
        self._logging_in = asyncio.Lock()
        self._rests_until = 0.0
        self.hear: Hear = lambda _event, _args: None
        """Takes the gateway's events."""

    async def call(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Make one call, and return its result."""
        return await self._within(lambda: self._call(call))

    async def log_in(self) -> Client:
        """Return the client, logged in: the first time by a call, after that without one, and then it never fails."""
        if self._client is not None:
            return self._client
        return await self._within(self._ready)

    def clean(self, text: str) -> str:
        """Return a text without the token."""
        return self._secret.sub("<secret>", text)

    async def close(self) -> None:
        """Close every connection; there is no call after that."""
        client, self._client = self._client, None
        if client is None:
            return
        gateway: DiscordWebSocket | None = client.ws
        try:
            if gateway is not None and gateway.open:
                with suppress(*FAULTS):
                    async with asyncio.timeout(self._waits.close_seconds):
                        await gateway.close(code=1000)
        finally:  # also where the time for all of it is up
            await client.close()

    async def _within(self, call: Callable[[], Awaitable[T]]) -> T:
        left = self._rests_until - self._monotonic()
        if left > 0:
            raise RateLimited("it wants no call of any kind for a time", left)
        sending = Call()
        before = CALL.set(sending)
        try:
            async with asyncio.timeout(self._waits.call_seconds):
                return await call()
        except FAULTS as fault:
            if isinstance(fault, TooMany) and fault.is_global:
                self._rests_until = max(self._rests_until, self._monotonic() + fault.seconds)
            raise translate(fault, sending, self.clean) from None
        finally:
            CALL.reset(before)

    async def _call(self, call: Callable[[Client], Awaitable[T]]) -> T:
        return await call(await self._ready())

    async def _ready(self) -> Client:
        """Return the client, logged in: the library asks for the bot's user and its application."""
        async with self._logging_in:
            if self._client is None:
                self._client = await self._log_in()
            return self._client

    async def _log_in(self) -> Client:
        """Log in and return the client; requests of the login do not count as sent for the call that needs it."""
        client, is_in = self._build_client(), False
        before = CALL.set(None)
        try:
            await client.login(self._token)
            is_in = True
        finally:
            CALL.reset(before)
            if not is_in:
                await asyncio.shield(client.close())  # who is cut a second time leaves no session open
        return client

    def _build_client(self) -> Client:
        return Client(
            lambda event, args: self.hear(event, args),
            intents=build_intents(reads_guilds=self._reads_guilds),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.0,
            # The gateway's loop gives up sooner.
            heartbeat_timeout=2 * self._waits.silent_seconds,
            allowed_mentions=discord.AllowedMentions.none(),
            http_trace=build_trace(),
        )


def _check(settings: DiscordSettings) -> None:
    token = settings.token.get_secret_value()
    if not re.fullmatch(r"[!-~]+", token):
        raise ChannelUnavailable(
            "channels_config.discord.token: a bot's token has no spaces: copy it again, and without the word Bot"
        )
    if bool(settings.api_base_url) != bool(settings.gateway_url):
        missing = "gateway_url" if settings.api_base_url else "api_base_url"
        raise ChannelUnavailable(
            f"channels_config.discord.{missing}: another server has both an API and a gateway: give both addresses"
        )
