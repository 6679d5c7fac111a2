"""This module is one Socket Mode connection: slack_sdk's client with its reading and reconnecting replaced.

The SDK's client handles each frame in its own task, so that their order is lost; it leaves an old connection before it
opens the next; and it does not notice every end. Here frames are taken one after another, the end of a connection sets
an event, and the keeper decides what follows.
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
    """One connection; `ended` is set when nothing more comes on it, `leaving` when Slack is about to end it."""

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
        """Slack's word for why it ends the connection."""
        self.beside = 0
        """How many connections the app had when this one was opened, this one included."""
        self.is_silent = False
        """Whether it ended because it showed no sign of life."""
        self._is_answered = False

    async def dial(self, address: str) -> None:
        """Connect. The SDK retries by itself until it is cancelled."""
        self.wss_uri = address
        await self.connect()  # type: ignore[no-untyped-call]

    async def receive_messages(self) -> None:
        """Take frames one after another until the connection ends; the SDK starts this once it is open."""
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
        """Report a sign of life; neither the greeting nor the answer to the first ping counts as one."""
        is_first = message.type is WSMsgType.PONG and not self._is_answered
        self._is_answered |= is_first
        if self.greeted.is_set() and not is_first:
            self._alive()

    def greet(self, hello: Mapping[str, Any]) -> None:
        """Note Slack's `hello`, after which events come."""
        count = hello.get("num_connections")
        self.beside = count if isinstance(count, int) else 0
        self.greeted.set()

    def leave(self, reason: str) -> None:
        """Note that Slack is about to end the connection."""
        self.reason = reason
        self.leaving.set()

    async def ack(self, envelope_id: str, payload: Mapping[str, Any] | None = None) -> None:
        """Acknowledge an envelope; if the ack cannot be sent, Slack redelivers the envelope."""
        with suppress(aiohttp.ClientError, ConnectionError):
            response = SocketModeResponse(envelope_id, dict(payload) if payload else None)
            await self.current_session.send_str(json.dumps(response.to_dict()))  # type: ignore[union-attr]

    def check(self) -> None:
        """Raise what taking a frame has raised, if anything: that is a bug of this program."""
        receiving = self.message_receiver
        if receiving is not None and receiving.done() and not receiving.cancelled():
            receiving.result()

    def abandon(self) -> None:
        """Stop reading."""
        self.closed = True
        for task in (self.message_receiver, self.current_session_monitor):
            if task is not None:
                task.cancel()

    async def shut(self) -> None:
        """Close the connection within 2 s: a dead one does not answer the close."""
        self.abandon()
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.close()  # type: ignore[no-untyped-call]
        await self.aiohttp_client_session.close()
