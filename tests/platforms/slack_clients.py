"""This module opens clients of the loopback Slack: the daemon's own, and one that can call wrongly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, OPEN, SlackServer

Happened = Callable[[], object]


class RawClient:
    """A client that calls whatever it likes."""

    def __init__(self, server: SlackServer, session: aiohttp.ClientSession) -> None:
        """Call this server."""
        self.server = server
        self.session = session

    async def call(self, method: str, *, token: str = BOT_TOKEN, **params: object) -> Any:
        """Return what the server answers to a call in JSON."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = self.server.base_url + method
        async with self.session.post(address, json=params, headers=headers) as response:
            return await response.json()

    async def refusal(self, method: str, *, token: str = BOT_TOKEN, **params: object) -> str:
        """Return the word for a call that must fail."""
        answer = await self.call(method, token=token, **params)
        assert answer["ok"] is False
        return str(answer["error"])

    async def address(self) -> str:
        """Return where a line can be opened, once."""
        return str((await self.call(OPEN, token=APP_TOKEN))["url"])

    @asynccontextmanager
    async def line(self) -> AsyncIterator[RawLine]:
        """Open a line of Socket Mode, and wait for its greeting."""
        async with self.session.ws_connect(await self.address()) as socket:
            line = RawLine(socket)
            line.hello = await line.hear()
            yield line


class RawLine:
    """A line of Socket Mode that does nothing by itself."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Speak over `socket`."""
        self.socket = socket
        self.hello: dict[str, Any] = {}

    async def hear(self) -> dict[str, Any]:
        """Wait for the next frame."""
        heard: dict[str, Any] = await self.socket.receive_json(timeout=10)
        return heard

    async def ack(self, envelope: dict[str, Any], **more: object) -> None:
        """Say that an envelope has come."""
        await self.socket.send_str(json.dumps({"envelope_id": envelope["envelope_id"], **more}))


async def until(server: SlackServer, happened: Happened) -> None:
    """Wait until something is so that shows in a call, an answer, an envelope or an ack."""
    while not happened():
        server.changed.clear()
        await server.changed.wait()


@asynccontextmanager
async def open_raw() -> AsyncIterator[RawClient]:
    """Open a server and a client of it."""
    async with SlackServer() as server, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        yield RawClient(server, session)


@asynccontextmanager
async def open_web() -> AsyncIterator[tuple[SlackServer, AsyncWebClient]]:
    """Open a server and Slack's own client of its Web API; at the end, it must have kept to the description."""
    async with SlackServer() as server:
        yield server, AsyncWebClient(BOT_TOKEN, server.base_url, timeout=10, retry_handlers=[])
    assert server.refusals == []


Listener = Callable[[dict[str, Any]], Awaitable[None]]


class Bolt:
    """An app of Slack's own framework."""

    def __init__(self, server: SlackServer) -> None:
        """Hear of everything."""
        self.server = server
        self.web = AsyncWebClient(BOT_TOKEN, server.base_url, retry_handlers=[])
        self.app = AsyncApp(client=self.web, process_before_response=True)
        self.heard: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.app.event({"type": "message", "subtype": None})(self._hear)
        self.app.event("message")(self._hear)
        self.app.event("app_mention")(self._hear)
        self.app.command("/agentd")(self._obey)
        self.handler = AsyncSocketModeHandler(self.app, APP_TOKEN, ping_interval=0.3)

    async def until(self, happened: Happened) -> None:
        """Wait until something is so that shows in a call, an answer, an envelope or an ack."""
        await until(self.server, happened)

    async def _hear(self, event: dict[str, Any]) -> None:
        self.heard.append(event)

    async def _obey(self, ack: Callable[[str], Awaitable[None]], command: dict[str, Any]) -> None:
        self.commands.append(command)
        await ack(f"{command['text']}: done")


@asynccontextmanager
async def open_bolt() -> AsyncIterator[Bolt]:
    """Open a server and an app that is connected to it; at the end, it must have kept to the description."""
    async with SlackServer() as server:
        bolt = Bolt(server)
        await bolt.handler.connect_async()  # type: ignore[no-untyped-call]  # bolt leaves it so
        try:
            yield bolt
        finally:
            await bolt.handler.close_async()  # type: ignore[no-untyped-call]  # bolt leaves it so
        assert server.refusals == []
