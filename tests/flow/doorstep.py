"""This module runs the whole daemon in this process, between a fake platform and the real command line."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agentd.app import Edges, serve
from agentd.settings import load_settings
from agentd.transcript.clock import Clock, utc_now
from channels.base import (
    Accept,
    Address,
    Author,
    InboundDelete,
    InboundEdit,
    InboundMessage,
    Places,
    Receipt,
    RemoteFile,
)
from channels.errors import FetchFailed, SendFailed
from channels.health import Health
from channels.markup.rich import PLAIN, RichText
from channels.pacing import UNPACED
from tests.flow.commands import run_command
from tests.flow.process import LIMIT_SECONDS, write_config
from tests.platforms.openai_server import OpenAIServer

ADA = Author("1", "Ada", "ada")
EVE = Author("3", "Eve", "eve")


@dataclass(frozen=True, slots=True)
class Said:
    """A message that the daemon sent."""

    chat: str
    text: str


class Platform:
    """The port, in memory: what people write goes straight to the daemon."""

    name = "telegram"
    streams = False
    dialect = PLAIN
    nonce_seconds = 0.0
    typing_seconds = 0.0
    rates = UNPACED

    def __init__(self) -> None:
        """Begin before the daemon listens."""
        self.health = Health(time.monotonic)
        self.said: list[Said] = []
        self.refuses = False
        self.listening: asyncio.Future[Accept] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self._ids = itertools.count(1)

    async def run(self, accept: Accept, places: Places) -> None:
        """Let people in until the test has no more of them."""
        del places
        self.listening.set_result(accept)
        await self.closed.wait()

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Keep a message."""
        del nonce
        if self.refuses:
            raise SendFailed("the bot was blocked")
        self.said.append(Said(to.chat, text.text))
        return str(next(self._ids))

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Change nothing: replies come whole."""

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove nothing."""

    async def show_typing(self, to: Address) -> None:
        """Show nothing."""

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Refuse: nobody here sends files."""
        raise FetchFailed(file.name)

    async def post(self, author: Author, text: str, *, group: bool = False, age: timedelta = timedelta()) -> Receipt:
        """Write as this person, in private or in the group."""
        sent_at = datetime.now(UTC) - age
        message_id = str(next(self._ids))
        inbound = InboundMessage(place(author, group), author, message_id, sent_at, text, is_direct=not group)
        return await (await self.listening)(inbound)

    async def change(self, author: Author, text: str) -> None:
        """Edit a message of this person's, and then take it back."""
        accept, now = await self.listening, datetime.now(UTC)
        await (await accept(InboundEdit(place(author), author, "1", now, text))).settled()
        await (await accept(InboundDelete(place(author), author, "1", now))).settled()

    async def ask(self, author: Author, text: str) -> str:
        """Write as this person in private, wait for the end of it, and return what they were told last."""
        await (await self.post(author, text)).settled()
        return self.texts(author)[-1]

    def texts(self, author: Author) -> list[str]:
        """Return what this person was told in private."""
        return [said.text for said in self.said if said.chat == author.id]


def place(author: Author, group: bool = False) -> Address:
    """Return where a person writes."""
    return Address("telegram", "bot", "-4" if group else author.id)


class Doorstep:
    """A workspace through all runs of its daemon, and a model that is asked by none but those who may talk."""

    def __init__(self, folder: Path, server: OpenAIServer, more: str = "") -> None:
        """Let in Ada and nobody else."""
        self.server = server
        allowed = '[channels_config.telegram]\ntoken = "1:x"\nallowed_users = ["@Ada"]'
        self.config = write_config(folder, server.base_url, f"{allowed}\n{more}")
        self.workspace = folder / "workspace"

    @asynccontextmanager
    async def open(self, clock: Clock = utc_now) -> AsyncIterator[Platform]:
        """Run the daemon until the end of the block."""
        platform = Platform()
        edges = Edges(build_channels=lambda names, section, tools: {"telegram": platform}, clock=clock)
        settings = load_settings(self.config, {})
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(settings, ("telegram",), edges), name="daemon")
            await asyncio.shield(platform.listening)
            try:
                yield platform
            finally:
                platform.closed.set()

    async def pair(self, *words: str) -> tuple[int, str, str]:
        """Run `agentd pair`; return the exit code and both outputs."""
        done = await asyncio.to_thread(run_command, self.config, "pair", *words)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    async def listed(self, *words: str) -> list[dict[str, Any]]:
        """Return what `agentd pair list` lists."""
        code, output, errors = await self.pair("list", "--json", *words)
        assert code == 0, errors
        found = json.loads(output)
        assert isinstance(found, list)
        return found

    def holding(self, text: str) -> list[str]:
        """Return the names of the workspace's files that hold this text anywhere in their bytes."""
        files = (path for path in self.workspace.rglob("*") if path.is_file())
        return sorted(path.name for path in files if text.encode() in path.read_bytes())
