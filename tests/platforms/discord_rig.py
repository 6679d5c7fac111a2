"""This module runs the real channel on the loopback Discord, and keeps what it took in."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import SecretStr

from channels.base import Address, Inbound, InboundMessage, KnownPlace, Receipt
from channels.discord import DiscordChannel
from channels.discord.attention import Attention
from channels.discord.waits import WAITS, Growing, Waits
from channels.errors import NotAccepted
from channels.settings import DiscordSettings
from channels.tools import Argument, Tools
from tests.platforms.discord_server import ADA_DM, BOT, TOKEN, DiscordServer, seconds_of

SOON = Growing(0.02, 0.02)
QUICK = replace(
    WAITS,
    network=SOON,
    identify=SOON,
    refused=SOON,
    switched_off=SOON,
    close_seconds=0.2,
    steady_seconds=0.5,
    greeting_seconds=0,
)
"""The waits of a test."""

COMMANDS = {"new": "start a new conversation", "help": "show this list"}
ARGUMENTS = {"help": Argument("what to be helped with")}
HERE = Address("discord", str(BOT), str(ADA_DM))


def address(channel: int, thread: int | None = None) -> Address:
    """Return a place by the server's ids."""
    return Address("discord", str(BOT), str(channel), None if thread is None else str(thread))


class Taken:
    """A receipt that nobody waits for."""

    async def settled(self) -> None:
        """Return."""


class Rig:
    """One channel, one server, and a daemon that takes what the test lets it take."""

    def __init__(self, server: DiscordServer, channel: DiscordChannel) -> None:
        """Take everything at first."""
        self.server = server
        self.channel = channel
        self.took: list[Inbound] = []
        self.offered: list[Inbound] = []
        self.refusals: deque[str] = deque(maxlen=1_000)
        """Why the next offers are not accepted."""
        self.gates: dict[str, asyncio.Event] = {}
        """Chats whose messages wait until the test sets this."""
        self.refused: set[str] = set()
        """Chats whose messages are not accepted."""
        self.known: list[KnownPlace] = []
        """Where people were heard before, as the daemon tells it."""
        self.unknown = 0
        """How often the daemon cannot tell."""
        self.asked = 0

    async def accept(self, inbound: Inbound) -> Receipt:
        """Take it, now or when the test lets it pass."""
        self.offered.append(inbound)
        self.server.changed.set()
        if inbound.address.chat in self.gates:
            await self.gates[inbound.address.chat].wait()
        if inbound.address.chat in self.refused:
            raise NotAccepted("not now")
        if self.refusals:
            raise NotAccepted(self.refusals.popleft())
        self.took.append(inbound)
        self.server.changed.set()
        return Taken()

    async def places(self) -> list[KnownPlace]:
        """Tell where people were heard."""
        self.asked += 1
        self.server.changed.set()
        if self.unknown:
            self.unknown -= 1
            raise NotAccepted("the disk is away")
        return self.known

    def know(self, place: Address, message: int) -> None:
        """Let a message be the last that is on disk of a place."""
        self.known.append(KnownPlace(place, datetime.fromtimestamp(seconds_of(message), UTC)))

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows in a call, an answer, or what was offered."""
        async with asyncio.timeout(20):
            while not happened():
                self.server.changed.clear()
                await self.server.changed.wait()

    async def notices(self, happened: Callable[[], object]) -> None:
        """Wait for something that shows in nothing that the server hears."""
        async with asyncio.timeout(20):
            while not happened():
                self.server.changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self.server.changed.wait()
                except TimeoutError:
                    continue

    async def takes(self, count: int) -> list[Inbound]:
        """Wait until so many were taken in, and return them."""
        await self.until(lambda: len(self.took) >= count)
        return self.took

    @property
    def texts(self) -> list[str]:
        """What was taken in of messages, in order."""
        return [inbound.text for inbound in self.took if isinstance(inbound, InboundMessage)]

    def called(self, route: str) -> int:
        """Count the calls of a route."""
        return sum(called.name == route for called in self.server.calls)

    async def sessions(self, count: int) -> None:
        """Wait until so many sessions were begun in all, and it was asked what was missed before them."""
        await self.until(lambda: len(self.server.gateway.identified) >= count and self.asked >= count)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Let the channel receive; it hears what is said from the start of the block on."""
        count = len(self.server.gateway.identified) + 1
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.channel.run(self.accept, self.places), name="channel")
            watching = tasks.create_task(self.sessions(count), name="connected")
            await asyncio.wait([task, watching], return_when=asyncio.FIRST_COMPLETED)
            yield task
            watching.cancel()
            task.cancel()


@asynccontextmanager
async def open_rig(waits: Waits = QUICK, *, guilds: Attention = "mention") -> AsyncIterator[Rig]:
    """Build both; at the end, nothing may have been asked of the server that Discord does not know."""
    async with DiscordServer() as server:
        channel = build_channel(server, guilds=guilds, waits=waits)
        try:
            yield Rig(server, channel)
        finally:
            await channel.close()
        assert server.refusals == []


def build_channel(
    server: DiscordServer, *, token: str = TOKEN, guilds: Attention = "mention", waits: Waits = QUICK
) -> DiscordChannel:
    """Build the channel of a bot."""
    ids = itertools.count()
    settings = DiscordSettings(
        token=SecretStr(token), api_base_url=server.base_url, gateway_url=server.gateway_url, guilds=guilds
    )
    tools = Tools(lambda: str(next(ids)), time.monotonic, COMMANDS, ARGUMENTS)
    return DiscordChannel(settings, tools, waits)
