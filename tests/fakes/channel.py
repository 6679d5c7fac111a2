"""This module is a fake channel: it keeps what it was told to send, and fails or waits as the test says."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from channels.base import Accept, Address, Places, RemoteFile
from channels.errors import FetchFailed, SendFailed, Unreachable
from channels.health import Health
from channels.markup.rich import Dialect, RichText, plain
from channels.pacing import UNPACED
from tests.fakes.aliases import FakeAliases


@dataclass(slots=True)
class Sent:
    """One message on the platform, as it stands after its edits."""

    message_id: str
    text: str
    chat: str
    edits: int = 0


class FakeChannel:
    """The port, in memory."""

    name = "fake"
    nonce_seconds = 0.0
    typing_seconds = 0.0
    rates = UNPACED

    def __init__(self, *, streams: bool = True, most_units: int | None = None) -> None:
        """Begin with an empty chat."""
        self.streams = streams
        self.dialect = Dialect(plain, most_units=most_units)
        self.health = Health(time.monotonic)
        self.aliases = FakeAliases()
        self.files: dict[str, bytes] = {}
        """What `fetch` gives, by `ref`."""
        self.sent: list[Sent] = []
        self._ids = itertools.count()
        self.refuses = False
        self.gone = False
        self.changed = asyncio.Event()
        self.called = asyncio.Event()
        """Set at the first call that shows something, or would."""

    @property
    def texts(self) -> list[str]:
        """What the person sees, in the order of sending."""
        return [sent.text for sent in self.sent]

    def texts_in(self, chat: str) -> list[str]:
        """Return what stands in one chat."""
        return [sent.text for sent in self.sent if sent.chat == chat]

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive nothing: tests hand their messages to the router."""
        del accept, places

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Keep a message."""
        del nonce
        self.called.set()
        self._check()
        self.sent.append(Sent(f"m{next(self._ids)}", text.text, to.chat))
        self.changed.set()
        return self.sent[-1].message_id

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Change a message, also one of an earlier run."""
        del to
        self.called.set()
        self._check()
        for sent in self.sent:
            if sent.message_id == message_id:
                sent.text, sent.edits = text.text, sent.edits + 1
        self.changed.set()

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message."""
        del to
        self._check()
        self.sent = [sent for sent in self.sent if sent.message_id != message_id]
        self.changed.set()

    async def show_typing(self, to: Address) -> None:
        """Show nothing."""
        del to

    async def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file that the test has put there."""
        self._check()
        if file.ref not in self.files:
            raise FetchFailed(f"{file.name} is gone")
        yield self.files[file.ref]

    async def shows(self, text: str) -> None:
        """Wait until some message contains this."""
        while not any(text in shown for shown in self.texts):
            self.changed.clear()
            await self.changed.wait()

    def _check(self) -> None:
        if self.gone:
            raise Unreachable("the platform is gone")
        if self.refuses:
            raise SendFailed("the platform refuses")
