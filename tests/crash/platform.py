"""This module defines the interface to a platform that survives the daemon: what people do there, and what they see.

There is one for each platform, over its loopback server: `on_telegram`, `on_discord`, `on_slack`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Protocol

__all__ = ["NAMES", "Platform", "Server", "open_platform"]

NAMES = ("telegram", "discord", "slack")


class Server(Protocol):
    """What every loopback server has."""

    refusals: list[str]
    changed: asyncio.Event
    held: asyncio.Event
    released: asyncio.Event

    def forget_script(self) -> None:
        """Answer as usual from here on."""
        ...


class Platform(Protocol):
    """One person's private chat with the bot."""

    @property
    def server(self) -> Server:
        """The server behind it."""
        ...

    @property
    def chat(self) -> str:
        """The chat's id, as sessions have it."""
        ...

    @property
    def replays(self) -> bool:
        """Whether the platform itself delivers again what the daemon has not confirmed."""
        ...

    @property
    def drops_copies(self) -> bool:
        """Whether it drops a second copy of a message, so that none is in doubt for as long as it remembers."""
        ...

    @property
    def besides(self) -> tuple[str, ...]:
        """Calls, apart from send, edit and delete, between whose effect and answer the daemon is killed."""
        ...

    @property
    def signs(self) -> int:
        """How many signs there were that a daemon listens."""
        ...

    @property
    def open(self) -> int:
        """How much of what it told the daemon is not confirmed; 0 where it does not want to know."""
        ...

    def section(self) -> str:
        """Return the keys of the channel's section."""
        ...

    def post(self, text: str, at: float | None, file: bytes | None) -> str:
        """Let the person write, at a time in Unix seconds, with a file; a leading slash is a command's."""
        ...

    def post_edit(self, message_id: str, text: str) -> None:
        """Let the person change that."""
        ...

    def screen(self) -> dict[str, str]:
        """Return what the daemon's messages say to the person now, by their ids, oldest first."""
        ...

    def hold(self, call: str, number: int) -> None:
        """Hold back the answer to the so-manieth call of a kind from here on, after its effect."""
        ...

    def delay(self, call: str, gate: asyncio.Event) -> None:
        """Let the next call of a kind have its effect only when the gate is set."""
        ...

    def count(self, call: str) -> int:
        """Return how many calls of a kind of `besides` there were."""
        ...


Open = Callable[[bool], AbstractAsyncContextManager[Platform]]


@asynccontextmanager
async def open_platform(name: str, *, replays: bool = True) -> AsyncIterator[Platform]:
    """Open one; without `replays` it delivers nothing again, even if it could."""
    open_one: Open = import_module(f"tests.crash.on_{name}").open_platform
    async with open_one(replays) as platform:
        yield platform
