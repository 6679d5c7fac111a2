"""This module calls Slack's Web API through slack_sdk's `AsyncWebClient`, with a timeout on every call and no retries.

The client's own retries are off, since a message that is posted again shows twice. Proxies of the environment are not
used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from channels.errors import ChannelUnavailable, RateLimited, Unreachable
from channels.settings import SlackSettings
from channels.slack.budget import Budget
from channels.slack.ending import close_with_loop
from channels.slack.faults import UNREADABLE, Misconfigured, Refusal, TokenRefused, sentence_for, translate
from channels.slack.library import tame_library
from channels.slack.standing import Standing
from channels.slack.waits import Waits

__all__ = ["APP_TOKEN", "BOT_TOKEN", "Connection"]

BOT_TOKEN = "channels_config.slack.bot_token"  # noqa: S105 - the name of a key
APP_TOKEN = "channels_config.slack.app_token"  # noqa: S105 - the name of a key

_SLACK = "https://slack.com/api/"


class Connection:
    """Calls Slack for one app. Every fault leaves it as a class of `channels.errors`."""

    def __init__(self, settings: SlackSettings, standing: Standing, waits: Waits) -> None:
        """Prepare, without a call. Raises ChannelUnavailable for a token of the wrong form."""
        self._bot_token = _checked(settings.bot_token.get_secret_value(), BOT_TOKEN, "xoxb-", _WHERE_BOT)
        self.app_token = _checked(settings.app_token.get_secret_value(), APP_TOKEN, "xapp-", _WHERE_APP)
        tame_library()
        self._standing = standing
        self._waits = waits
        self.root = f"{settings.api_base_url.rstrip('/')}/" if settings.api_base_url else _SLACK
        self.client = AsyncWebClient(self._bot_token, base_url=self.root, retry_handlers=[])
        self.client.proxy = None  # the client has taken it from the environment
        self._session: aiohttp.ClientSession | None = None
        self._ending: AsyncGenerator[None, None] | None = None

    async def open(self) -> aiohttp.ClientSession:
        """Return the aiohttp session that every call shares; the first call opens it."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._waits.connect_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
            self._ending = close_with_loop(self._session.close)
            await anext(self._ending)
        return self._session

    async def call(
        self, call: Callable[[AsyncWebClient], Awaitable[Any]], budget: Budget | None = None
    ) -> Mapping[str, Any]:
        """Make one call with the bot's token, within its method's budget, and return what Slack answers."""
        if budget is not None:
            budget.take()
        try:
            answer = await self._call(call)
        except RateLimited as fault:
            if budget is not None:
                budget.rest(fault.retry_after_seconds)
            raise
        except TokenRefused as fault:
            self._standing.begin("token", sentence_for(fault))
            raise
        self._standing.end("token")
        return answer

    async def _call(self, call: Callable[[AsyncWebClient], Awaitable[Any]]) -> Mapping[str, Any]:
        self.client.session = await self.open()
        try:
            async with asyncio.timeout(self._waits.call_seconds):
                answer = (await call(self.client)).data
        except TimeoutError as fault:
            if isinstance(fault, aiohttp.ClientError):
                raise translate(fault) from None
            raise Unreachable(f"Slack has not answered within {self._waits.call_seconds:g} s") from None
        except (SlackClientError, aiohttp.ClientError, OSError, *UNREADABLE) as fault:
            raise translate(fault) from None
        if not isinstance(answer, dict):
            raise Unreachable("Slack's answer cannot be read")
        return answer

    async def open_address(self) -> str:
        """Ask for a WebSocket's address, which is good for one connection and holds a secret ticket."""
        try:
            answer = await self._call(lambda client: client.apps_connections_open(app_token=self.app_token))
        except Refusal as fault:
            raise Misconfigured(fault.error, str(fault)) from None
        address = answer.get("url")
        if not isinstance(address, str) or not address.startswith(("ws://", "wss://")):
            raise Unreachable("Slack's answer cannot be read")
        return address

    def authorization(self, address: str) -> Mapping[str, str] | None:
        """Return the header that opens a file; None for an address that is not Slack's: it must not see the token."""
        return {"Authorization": f"Bearer {self._bot_token}"} if self._is_ours(address) else None

    async def close(self) -> None:
        """Close every connection; there is no call after that."""
        if self._ending is not None:
            await self._ending.aclose()

    def _is_ours(self, address: str) -> bool:
        try:
            there, here = urlsplit(address), urlsplit(self.root)
            if "@" in there.netloc:
                return False
            if (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port):
                return True
        except ValueError:
            return False
        host = there.hostname or ""
        return there.scheme == "https" and there.port in (None, 443) and f".{host}".endswith(".slack.com")


_WHERE_BOT = 'copy the "Bot User OAuth Token" from OAuth & Permissions of your app at https://api.slack.com/apps'
_WHERE_APP = 'copy an "App-Level Token" from Basic Information of your app at https://api.slack.com/apps'


def _checked(token: str, key: str, start: str, where: str) -> str:
    token = token.strip()
    if token.startswith(start) and token.isascii() and token.isprintable() and " " not in token:
        return token
    other = {"xoxb-": "the bot's token", "xapp-": "an app-level token", "xoxp-": "a person's token"}
    kind = next((words for prefix, words in other.items() if token.startswith(prefix) and prefix != start), "")
    found = f"this is {kind}, and {start}... is wanted" if kind else f"the token begins with {start}"
    raise ChannelUnavailable(f"{key}: {found}: {where}")
