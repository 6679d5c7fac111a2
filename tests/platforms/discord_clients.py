"""This module opens clients of the loopback Discord: the daemon's library, and one that can call wrongly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.platforms.discord_server import TOKEN, DiscordServer

INTENTS = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)


class Ears(discord.Client):
    """A client that keeps what it hears, in order."""

    def __init__(
        self, server: DiscordServer, intents: discord.Intents = INTENTS, heartbeat_timeout: float = 60
    ) -> None:
        """Listen to this server, and ping nobody."""
        super().__init__(
            intents=intents,
            heartbeat_timeout=heartbeat_timeout,
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=0,
            max_messages=None,
        )
        self.server = server
        self.heard: list[tuple[str, Any]] = []
        self.ending: Exception | None = None
        """What the client ended with."""

    async def attend(self) -> None:
        """Stay connected, as far as the library does, until a fault ends it."""
        try:
            await self.connect()
        except (discord.DiscordException, LookupError, ValueError) as fault:
            self.ending = fault
            self.server.changed.set()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Keep an event, with what it brings."""
        self.heard.append((event, args[0] if args else None))
        self.server.changed.set()
        super().dispatch(event, *args, **kwargs)

    async def before_identify_hook(self, _shard: int | None, *, initial: bool = False) -> None:
        """Do not wait: this server lets a bot begin a session as often as it likes."""

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows in an event, or at the server."""
        async with asyncio.timeout(20):
            while not happened():
                self.server.changed.clear()
                await self.server.changed.wait()

    def of(self, event: str) -> list[Any]:
        """Return what the events of a kind brought."""
        return [brought for kind, brought in self.heard if kind == event]

    async def hears(self, event: str, count: int = 1) -> Any:
        """Wait for the so-manieth event of a kind, and return what it brought."""
        await self.until(lambda: len(self.of(event)) >= count)
        return self.of(event)[count - 1]

    @property
    def texts(self) -> list[str]:
        """The messages heard of, in order."""
        return [message.content for message in self.of("message")]


@asynccontextmanager
async def open_client(
    server: DiscordServer, intents: discord.Intents = INTENTS, *, heartbeat_timeout: float = 60
) -> AsyncIterator[Ears]:
    """Let discord.py connect to this server and not to the real one, until the block ends."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.base_url, yarl.URL(server.gateway_url)
    try:
        client = Ears(server, intents, heartbeat_timeout)
        async with client, asyncio.TaskGroup() as tasks:
            await client.login(TOKEN)
            connecting = tasks.create_task(client.attend(), name="connect")
            try:
                yield client
            finally:
                connecting.cancel()
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@asynccontextmanager
async def open_bot() -> AsyncIterator[tuple[DiscordServer, Ears]]:
    """Open a server and a client that is ready; at the end, the client must have kept to the description."""
    async with DiscordServer() as server:
        async with open_client(server) as client:
            await client.hears("ready")
            yield server, client
        assert server.refusals == []


class RawClient:
    """A client that calls whatever it likes."""

    def __init__(self, server: DiscordServer, client: aiohttp.ClientSession) -> None:
        """Call this server."""
        self.server = server
        self.client = client
        self.token = f"Bot {TOKEN}"

    async def call(self, method: str, path: str, body: object = None, **params: str) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        given = {} if body is None else {"json": body}
        headers = {"Authorization": self.token}
        url = self.server.base_url + path
        async with self.client.request(method, url, params=params, headers=headers, **given) as response:  # type: ignore[arg-type]  # only json
            text = await response.text()
            return response.status, json.loads(text) if text else None

    @asynccontextmanager
    async def connect(self, **query: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a connection to the gateway, uncompressed, whose first frame has been read."""
        url = self.server.gateway_url
        async with self.client.ws_connect(url, params={"v": "10", "encoding": "json", **query}) as socket:
            assert (await socket.receive_json())["op"] == 10
            yield socket


@asynccontextmanager
async def open_raw() -> AsyncIterator[RawClient]:
    """Open a server and a client of it."""
    async with DiscordServer() as server, aiohttp.ClientSession() as client:
        yield RawClient(server, client)
