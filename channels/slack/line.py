"""One connection of Socket Mode: slack_sdk's client, whose reading and reconnecting is replaced.

The SDK's client hands each frame to a task of its own, so that their order is lost; it leaves an old connection before
it opens the next; and it does not notice every end. Here one frame is taken after the other, an end is an event, and
what follows it is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from channels.slack.waits import Waits

__all__ = ["Line", "Take"]

Take = Callable[["Line", str], Awaitable[None]]
"""Takes a frame that came on a line."""

_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_CLOSE_SECONDS = 2


class Line(SocketModeClient):
    """One connection; `ended` is set when nothing comes on it any more, `leaving` when Slack wants it to end."""

    def __init__(self, client: AsyncWebClient, app_token: str, take: Take, alive: Callable[[], None], waits: Waits):
        """Prepare, without a call: hand frames to `take`, and tell `alive` of every sign of life."""
        super().__init__(app_token, web_client=client, auto_reconnect_enabled=False, ping_interval=waits.ping_seconds)
        self.proxy = None  # the client has taken it from the environment
        self.message_processor.cancel()
        self._take = take
        self._alive = alive
        self.ended = asyncio.Event()
        self.greeted = asyncio.Event()
        self.leaving = asyncio.Event()
        self.reason = ""
        """Why Slack wants it to end, in Slack's word."""
        self.beside = 0
        """How many connections of the app there were when it was opened, this one among them."""
        self.is_silent = False
        """Whether it ended because it showed no sign of life."""
        self._is_answered = False

    async def dial(self, address: str) -> None:
        """Connect. The SDK tries again by itself until it is cancelled."""
        self.wss_uri = address
        await self.connect()  # type: ignore[no-untyped-call]

    async def receive_messages(self) -> None:
        """Take what comes, one after the other, until the connection ends; the SDK starts this when it is open."""
        session = self.current_session
        try:
            while session is not None and (message := await session.receive()).type not in _ENDS:
                self._note(message)
                if message.type is WSMsgType.TEXT:
                    await self._take(self, message.data)
                elif message.type is WSMsgType.PING:
                    await session.pong(message.data)
            self.is_silent = session is not None and isinstance(session.exception(), aiohttp.ServerTimeoutError)
        except (aiohttp.ClientError, ConnectionError):
            pass  # an end like any other
        finally:
            self.ended.set()

    def _note(self, message: aiohttp.WSMessage) -> None:
        """Tell of a sign of life; the greeting is none, nor the answer to the ping that a connection begins with."""
        is_first = message.type is WSMsgType.PONG and not self._is_answered
        self._is_answered |= is_first
        if self.greeted.is_set() and not is_first:
            self._alive()

    def greet(self, hello: Mapping[str, Any]) -> None:
        """Note the greeting, which says that events come from here on."""
        count = hello.get("num_connections")
        self.beside = count if isinstance(count, int) else 0
        self.greeted.set()

    def leave(self, reason: str) -> None:
        """Note that Slack wants it to end."""
        self.reason = reason
        self.leaving.set()

    async def ack(self, envelope_id: str, payload: Mapping[str, Any] | None = None) -> None:
        """Say that an envelope is taken; one that cannot be said comes again."""
        with suppress(aiohttp.ClientError, ConnectionError):
            response = SocketModeResponse(envelope_id, dict(payload) if payload else None)
            await self.current_session.send_str(json.dumps(response.to_dict()))  # type: ignore[union-attr]

    def check(self) -> None:
        """Raise what went wrong in taking a frame, if anything did: that is a fault of this program."""
        receiving = self.message_receiver
        if receiving is not None and receiving.done() and not receiving.cancelled():
            receiving.result()

    def abandon(self) -> None:
        """Take nothing more."""
        self.closed = True
        for task in (self.message_receiver, self.current_session_monitor):
            if task is not None:
                task.cancel()

    async def shut(self) -> None:
        """Close it, within a time: what is dead does not say goodbye."""
        self.abandon()
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()  # type: ignore[no-untyped-call]
        await self.aiohttp_client_session.close()
