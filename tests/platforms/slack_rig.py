"""This module runs the real channel on the loopback Slack, and keeps what it took in."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import SecretStr

from channels.base import Address, Inbound, InboundMessage, KnownPlace, Receipt
from channels.errors import NotAccepted
from channels.settings import SlackSettings
from channels.slack import SlackChannel
from channels.slack.parse import Attention
from channels.slack.waits import WAITS, Growing, Waits
from channels.tools import Tools
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, DM, GENERAL, TEAM, Delivery, SlackServer

SOON = Growing(0.02, 0.02)
QUICK = replace(
    WAITS, network=SOON, token=SOON, refused=SOON, places=SOON, scan_seconds=0.02, linger_seconds=0.3, steady_seconds=0
)
"""The waits of a test: acks and pings are as ever, pauses are not."""

COMMANDS = {"new": "start a new conversation", "stop": "stop", "help": "show this list"}
HERE = Address("slack", TEAM, DM)


def thread_of(root: str, channel: str = GENERAL) -> Address:
    """Return the place of a thread."""
    return Address("slack", TEAM, channel, root)


def known(place: Address, ts: str) -> KnownPlace:
    """Return a place where the message with this ts is the newest that is on disk."""
    return KnownPlace(place, datetime.fromtimestamp(float(ts), UTC))


class Taken:
    """A receipt that nobody waits for."""

    async def settled(self) -> None:
        """Return."""


class Rig:
    """One channel, one server, and a daemon that takes what the test lets it take."""

    def __init__(self, server: SlackServer, channel: SlackChannel) -> None:
        """Take everything at first, and know nobody from before."""
        self.server = server
        self.channel = channel
        self.took: list[Inbound] = []
        self.offered: list[Inbound] = []
        self.refusals: deque[str] = deque(maxlen=100)
        """Why the next offers are not accepted."""
        self.gates: dict[Address, asyncio.Event] = {}
        """Places whose messages wait until the test sets this."""
        self.strangers: set[str] = set()
        """Whose messages are dropped, and confirmed like any other."""
        self.known: list[KnownPlace] = []
        """What an earlier run has left; what is taken in comes to it."""
        self.looks = 0
        """How often it was asked where people are known from."""
        self.blind = 0
        """How often that cannot be told, from now on."""

    async def accept(self, inbound: Inbound) -> Receipt:
        """Take it, now or when the test lets it pass; what was taken before is recognised."""
        self.offered.append(inbound)
        self.server.changed.set()
        if inbound.address in self.gates:
            await self.gates[inbound.address].wait()
        if self.refusals:
            raise NotAccepted(self.refusals.popleft())
        if inbound not in self.took and self._author(inbound) not in self.strangers:
            self.took.append(inbound)
        self.server.changed.set()
        return Taken()

    async def places(self) -> Sequence[KnownPlace]:
        """Tell where people are known from, newest first."""
        self.looks += 1
        self.server.changed.set()
        if self.blind:
            self.blind -= 1
            raise NotAccepted("the folder cannot be read")
        newest = {place.address: place.last_sent_at for place in self.known}
        for inbound in self.took:
            if isinstance(inbound, InboundMessage):
                newest[inbound.address] = max(inbound.sent_at, newest.get(inbound.address, inbound.sent_at))
        return sorted(itertools.starmap(KnownPlace, newest.items()), key=lambda place: place.last_sent_at, reverse=True)

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows in a call, an answer, an ack, or what was offered."""
        async with asyncio.timeout(20):
            while not happened():
                self.server.changed.clear()
                try:
                    async with asyncio.timeout(0.1):
                        await self.server.changed.wait()
                except TimeoutError:
                    continue

    async def takes(self, count: int) -> list[Inbound]:
        """Wait until so many were taken in, and return them."""
        await self.until(lambda: len(self.took) >= count)
        return self.took

    async def acked(self, count: int) -> list[Delivery]:
        """Wait until so many envelopes were acked, and return what was in them."""
        await self.until(lambda: len(self.server.acked) >= count)
        return self.server.acked

    async def opened(self, count: int = 1) -> None:
        """Wait until there have been so many connections, and the newest is in use."""
        await self.until(lambda: self.server.lines.opened >= count and self.looks > 0)

    @property
    def texts(self) -> list[str]:
        """What was taken in of messages, in order."""
        return [inbound.text for inbound in self.took if isinstance(inbound, InboundMessage)]

    def called(self, method: str) -> int:
        """Count the calls of a method."""
        return sum(name == method for name, _ in self.server.calls)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Let the channel receive."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.channel.run(self.accept, self.places), name="channel")
            yield task
            task.cancel()

    @staticmethod
    def _author(inbound: Inbound) -> str:
        return inbound.author.id if isinstance(inbound, InboundMessage) else ""


@asynccontextmanager
async def open_rig(
    waits: Waits = QUICK,
    *,
    channels: Attention = "mention",
    allowed: tuple[str, ...] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Rig]:
    """Build both; at the end, nothing may have been asked of the server that Slack does not know."""
    async with SlackServer() as server:
        channel = build_channel(server.base_url, channels=channels, waits=waits, allowed=allowed, monotonic=monotonic)
        try:
            yield Rig(server, channel)
        finally:
            await channel.close()
        assert server.refusals == []


def build_channel(
    base_url: str,
    *,
    tokens: tuple[str, str] = (BOT_TOKEN, APP_TOKEN),
    channels: Attention = "mention",
    waits: Waits = QUICK,
    allowed: tuple[str, ...] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> SlackChannel:
    """Build the channel of an app."""
    ids = itertools.count()
    settings = SlackSettings(
        bot_token=SecretStr(tokens[0]),
        app_token=SecretStr(tokens[1]),
        api_base_url=base_url,
        channels=channels,
        allowed_users=allowed,
    )
    return SlackChannel(settings, Tools(lambda: str(next(ids)), monotonic, COMMANDS), waits)
