"""This module opens each channel on its loopback platform, with one interface: write as a person, see the screen."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from channels.base import Address, Author, Channel, Inbound, InboundMessage, Receipt
from channels.console import ConsoleChannel
from channels.console.lines import PipeLines
from channels.console.output import Output
from channels.errors import NotAccepted
from channels.tools import Tools
from tests.platforms import (
    discord_behaviours,
    discord_rig,
    discord_server,
    slack_behaviours,
    slack_rig,
    telegram_behaviours,
    telegram_rig,
)
from tests.platforms.telegram_rig import Taken, nowhere


class Stand(ABC):
    """One channel and its platform."""

    channel: Channel
    here: Address
    """Where the one person writes."""
    behaviours: Any
    """What the platform can do instead of answering; None where there is no network in between."""
    send_call: str
    """The call that shows a message."""

    @abstractmethod
    def write(self, text: str) -> None:
        """Let the person write."""

    @abstractmethod
    def shown(self) -> list[str]:
        """Return what the bot's messages show."""

    @abstractmethod
    def misbehave(self, behaviour: Any) -> None:
        """Let the platform do this at the next message that it is to show."""

    @abstractmethod
    def refuse(self, times: int) -> None:
        """Do not accept what comes, so many times."""

    @property
    @abstractmethod
    def took(self) -> Sequence[Inbound]:
        """Return what was accepted."""

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[object]:
        """Let the channel receive."""

    @abstractmethod
    async def until(self, happened: Callable[[], object]) -> None:
        """Wait for something."""

    def texts(self) -> list[str]:
        """Return the texts that were accepted, each once: a platform may offer one again."""
        found = [message for message in self.took if isinstance(message, InboundMessage)]
        return list({message.message_id: message.text for message in found}.values())


async def soon() -> None:
    """Wait for nothing."""


class RigStand(Stand):
    """A platform with a rig."""

    def __init__(
        self,
        rig: Any,
        here: Address,
        behaviours: Any,
        send_call: str,
        connected: Callable[[], Awaitable[object]] = soon,
    ) -> None:
        """Stand on this rig, whose channel is `connected` some time after it began to run."""
        self._rig = rig
        self._connected = connected
        self.channel = rig.channel
        self.here = here
        self.behaviours = behaviours
        self.send_call = send_call

    def write(self, text: str) -> None:
        """Let the person write."""
        self._rig.server.post(text)

    def shown(self) -> list[str]:
        """Return what the bot's messages show."""
        return [shown.text for shown in self._rig.server.screen()]

    def misbehave(self, behaviour: Any) -> None:
        """Let the platform do this at the next message."""
        self._rig.server.enqueue(self.send_call, behaviour)

    def refuse(self, times: int) -> None:
        """Refuse so often."""
        self._rig.refusals.extend(["not now"] * times)

    @property
    def took(self) -> Sequence[Inbound]:
        """Return what was accepted."""
        taken: Sequence[Inbound] = self._rig.took
        return taken

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the channel receive; it is connected from the start of the block on."""
        async with self._rig.running():
            await self._connected()
            yield

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait for something that the server hears, or that the daemon is offered."""
        await self._rig.until(happened)


class ConsoleStand(Stand):
    """A pipe at either end."""

    behaviours = None
    send_call = ""

    def __init__(self, typed: tuple[int, int], printed: tuple[int, int]) -> None:
        """Type into one pipe, and look at what comes out of the other."""
        self._typed, self._printed = typed, printed
        os.set_blocking(printed[0], False)
        self._screen = b""
        self._taken: list[Inbound] = []
        self._refusals = 0
        ids = itertools.count()
        tools = Tools(lambda: str(next(ids)), time.monotonic, {})
        lines, output = PipeLines(typed[0]), Output(printed[1])
        self.channel = ConsoleChannel(lines, output, Author("ada", "Ada"), tools, None)
        self.here = Address("console", "local", "terminal")

    def write(self, text: str) -> None:
        """Type a line."""
        os.write(self._typed[1], text.encode() + b"\n")

    def shown(self) -> list[str]:
        """Return the lines that were printed."""
        with suppress(BlockingIOError):
            self._screen += os.read(self._printed[0], 1 << 16)
        return self._screen.decode().splitlines()

    def misbehave(self, behaviour: Any) -> None:
        """Pipes do what they are told."""
        raise NotImplementedError

    def refuse(self, times: int) -> None:
        """Refuse so often."""
        self._refusals = times

    @property
    def took(self) -> Sequence[Inbound]:
        """Return what was accepted."""
        return self._taken

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the channel read, and see the end of its input at the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.channel.run(self._accept, nowhere), name="console")
            yield
            os.close(self._typed[1])

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait for something."""
        async with asyncio.timeout(20):
            while not happened():  # noqa: ASYNC110 - a pipe sets no event
                await asyncio.sleep(0.002)

    async def _accept(self, inbound: Inbound) -> Receipt:
        if self._refusals:
            self._refusals -= 1
            raise NotAccepted("not now")
        self._taken.append(inbound)
        return Taken()


@asynccontextmanager
async def open_console_stand() -> AsyncIterator[Stand]:
    """Open two pipes."""
    typed, printed = os.pipe(), os.pipe()
    try:
        yield ConsoleStand(typed, printed)
    finally:
        for descriptor in (typed[0], *printed):
            os.close(descriptor)


@asynccontextmanager
async def open_telegram_stand() -> AsyncIterator[Stand]:
    """Open the loopback Telegram."""
    async with telegram_rig.open_rig() as rig:
        rig.server.open_chat(7)
        yield RigStand(rig, telegram_rig.HERE, telegram_behaviours, "sendMessage")


@asynccontextmanager
async def open_discord_stand() -> AsyncIterator[Stand]:
    """Open the loopback Discord."""
    async with discord_rig.open_rig() as rig:
        rig.server.open_dm(discord_server.ADA)
        yield RigStand(rig, discord_rig.HERE, discord_behaviours, discord_server.SEND)


@asynccontextmanager
async def open_slack_stand() -> AsyncIterator[Stand]:
    """Open the loopback Slack."""
    async with slack_rig.open_rig() as rig:
        yield RigStand(rig, slack_rig.HERE, slack_behaviours, "chat.postMessage", rig.opened)


STANDS = {
    "console": open_console_stand,
    "telegram": open_telegram_stand,
    "discord": open_discord_stand,
    "slack": open_slack_stand,
}
