"""This module calls the Bot API through python-telegram-bot's `Bot`, with a timeout on every call.

It keeps the token out of every error. Nothing needs to be opened: a call makes the connections that it needs. Polls
have a connection pool of their own, which is replaced when a poll gets no answer.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from telegram import Bot, User
from telegram.error import TelegramError

from channels.errors import ChannelUnavailable, Unreachable
from channels.settings import TelegramSettings
from channels.telegram.faults import UNREADABLE, Stalled, translate
from channels.telegram.library import tame_library
from channels.telegram.requests import CallRequest, PollRequest
from channels.telegram.waits import Waits

__all__ = ["ALLOWED_UPDATES", "MOST_UPDATES", "Connection"]

ALLOWED_UPDATES = ("message", "edited_message", "my_chat_member")

MOST_UPDATES = 100
"""The most updates in one answer (Bot API, getUpdates: `limit`)."""

_TELEGRAM = "https://api.telegram.org"
_TOKEN = re.compile(r"(\d+):([\w-]+)", re.ASCII)
_CONNECTIONS = 32
_CLOSE_SECONDS = 2

T = TypeVar("T")


class Connection:
    """Calls Telegram for one bot. Every fault leaves it as a class of `channels.errors`."""

    def __init__(self, settings: TelegramSettings, waits: Waits) -> None:
        """Prepare, without a call. Raises ChannelUnavailable for a token of the wrong form."""
        token = settings.token.get_secret_value()
        form = _TOKEN.fullmatch(token)
        if form is None:
            raise ChannelUnavailable(
                "channels_config.telegram.token: a bot's token is a number, a colon and a secret: "
                "copy it whole from @BotFather"
            )
        tame_library()
        self.account = form[1]
        # The library changes the case of some texts.
        self._secret = re.compile(re.escape(form[2]), re.IGNORECASE)
        self._waits = waits
        root = settings.api_base_url.rstrip("/") or _TELEGRAM
        self.tls = _build_tls(root)
        self._polls = PollRequest(**self._request_options(2))
        self._calls = CallRequest(**self._request_options(_CONNECTIONS))
        self.bot = Bot(
            token,
            base_url=lambda token: f"{root}/bot{token}",
            base_file_url=lambda token: f"{root}/file/bot{token}",
            request=self._calls,
            get_updates_request=self._polls,
        )

    async def call(self, call: Callable[[Bot], Awaitable[T]]) -> T:
        """Make one call, and return its result."""
        try:
            return await self._within(self._waits.call_seconds, call)
        except TimeoutError:
            raise Unreachable(f"Telegram has not answered within {self._waits.call_seconds:g} s") from None

    async def get_me(self) -> User:
        """Return the bot itself."""
        return await self.call(lambda bot: bot.get_me())

    async def get_updates(self, offset: int, seconds: int) -> list[Any]:
        """Return the raw updates from `offset` on, which confirms those before; wait up to `seconds` for one.

        Raises Stalled if no answer came in time; polls have a new connection from then on.
        """
        limit = seconds + self._waits.grace_seconds
        self._polls.updates = []
        try:
            await self._within(
                limit,
                lambda bot: bot.get_updates(
                    offset=offset or None,
                    limit=MOST_UPDATES,
                    timeout=seconds,
                    allowed_updates=ALLOWED_UPDATES,
                    read_timeout=limit,
                ),
            )
        except TimeoutError:
            await self._renew_polls()
            raise Stalled(f"a poll was not answered within {limit:g} s") from None
        return self._polls.updates

    def clean(self, text: str) -> str:
        """Return a text without the token's secret."""
        return self._secret.sub("<secret>", text)

    async def close(self) -> None:
        """Close every connection; there is no call after that."""
        for request in (self._polls, self._calls):
            with suppress(TimeoutError, *UNREADABLE):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await request.shutdown()

    async def _within(self, seconds: float, call: Callable[[Bot], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await call(self.bot)
        except TelegramError as fault:
            raise translate(fault, self.clean) from None
        except TimeoutError:
            raise
        except UNREADABLE as fault:
            raise Unreachable(f"Telegram's answer cannot be read ({type(fault).__name__})") from None

    def _request_options(self, connections: int) -> dict[str, Any]:
        """Return the options of a request; the timeout of a whole call is set around it."""
        limits = httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=self._waits.idle_seconds,
        )
        return {
            "connect_timeout": self._waits.connect_seconds,
            "read_timeout": self._waits.call_seconds,
            "write_timeout": self._waits.call_seconds,
            "pool_timeout": self._waits.connect_seconds,
            "httpx_kwargs": {"trust_env": False, "verify": self.tls, "limits": limits},
        }

    async def _renew_polls(self) -> None:
        with suppress(TimeoutError, *UNREADABLE):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._polls.shutdown()
        await self._polls.initialize()


def _build_tls(root: str) -> ssl.SSLContext:
    """Return the TLS context that all clients share; without TLS, certificates are not read, which takes long."""
    if root.startswith("https://"):
        return httpx.create_ssl_context(trust_env=False)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
