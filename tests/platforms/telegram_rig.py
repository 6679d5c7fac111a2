"""This module runs the real channel on the loopback Telegram, and keeps what it took in."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from pydantic import SecretStr

from channels.base import Address, Inbound, InboundMessage, KnownPlace, Receipt
from channels.errors import NotAccepted
from channels.settings import TelegramSettings
from channels.telegram import TelegramChannel
from channels.telegram.attention import Attention
from channels.telegram.waits import WAITS, Growing, Waits
from channels.tools import Tools
from tests.platforms.telegram_server import TOKEN, TelegramServer

SOON = Growing(0.02, 0.02)
QUICK = replace(WAITS, network=SOON, conflict=SOON, token=SOON, empty=SOON, busy=SOON, stuck=SOON, refused=SOON)
"""The waits of a test: long polls are as long as ever, pauses are not."""

COMMANDS = {"new": "start a new conversation", "help": "show this list"}
HERE = Address("telegram", "100", "7")


async def nowhere() -> list[KnownPlace]:
    """Know nobody from before."""
    return []


class Taken:
    """A receipt that nobody waits for."""

    async def settled(self) -> None:
        """Return."""


class Rig:
    """One channel, one server, and a daemon that takes what the test lets it take."""

    def __init__(self, server: TelegramServer, channel: TelegramChannel) -> None:
        """Take everything at first."""
        self.server = server
        self.channel = channel
        self.took: list[Inbound] = []
        self.offered: list[Inbound] = []
        self.refusals: deque[str] = deque(maxlen=100)
        """Why the next offers are not accepted."""
        self.gates: dict[str, asyncio.Event] = {}
        """Chats whose messages wait until the test sets this."""
        self.refused: set[str] = set()
        """Chats whose messages are not accepted."""

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

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows in a call, an answer, or what was offered."""
        async with asyncio.timeout(20):
            while not happened():
                self.server.changed.clear()
                await self.server.changed.wait()

    async def takes(self, count: int) -> list[Inbound]:
        """Wait until so many were taken in, and return them."""
        await self.until(lambda: len(self.took) >= count)
        return self.took

    @property
    def texts(self) -> list[str]:
        """What was taken in of messages, in order."""
        return [inbound.text for inbound in self.took if isinstance(inbound, InboundMessage)]

    def called(self, method: str) -> int:
        """Count the calls of a method."""
        return sum(name == method for name, _ in self.server.calls)

    async def polled(self, count: int) -> None:
        """Wait for so many polls in all."""
        await self.until(lambda: self.called("getUpdates") >= count)

    async def confirmed(self) -> None:
        """Wait until Telegram has nothing more to give."""
        await self.until(lambda: not self.server.unconfirmed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Let the channel receive."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.channel.run(self.accept, nowhere), name="channel")
            yield task
            task.cancel()


@asynccontextmanager
async def open_rig(waits: Waits = QUICK, *, groups: Attention = "mention") -> AsyncIterator[Rig]:
    """Build both; at the end, nothing may have been asked of the server that its API does not know."""
    async with TelegramServer() as server:
        channel = build_channel(server.base_url, groups=groups, waits=waits)
        try:
            yield Rig(server, channel)
        finally:
            await channel.close()
        assert server.refusals == []


def build_channel(
    base_url: str, *, token: str = TOKEN, groups: Attention = "mention", waits: Waits = QUICK
) -> TelegramChannel:
    """Build the channel of a bot."""
    ids = itertools.count()
    settings = TelegramSettings(token=SecretStr(token), api_base_url=base_url, groups=groups)
    tools = Tools(lambda: str(next(ids)), time.monotonic, COMMANDS)
    return TelegramChannel(settings, tools, waits)
