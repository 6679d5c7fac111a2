"""This module runs the whole daemon in this process between two platforms in memory, for people with two accounts."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentd.app import Edges, serve
from agentd.settings import load_settings
from agentd.transcript.clock import Clock, utc_now
from channels.base import Address, Author, InboundMessage, Receipt, RemoteFile
from tests.flow.commands import run_command
from tests.flow.doorstep import Platform
from tests.flow.process import LIMIT_SECONDS, write_config
from tests.platforms.openai_server import OpenAIServer

ADA = Author("700001", "Ada Lovelace", "ada")
BOB = Author("800002", "Bob Babbage", "bob")
GROUP = "-400004"


class Market(Platform):
    """A platform by this name, where people also send files."""

    def __init__(self, name: str, numbers: Iterator[int]) -> None:
        """Begin before the daemon listens; messages are numbered on."""
        super().__init__()
        self.name = name
        self._numbers = numbers

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Give what the reference says."""

        async def blocks() -> AsyncGenerator[bytes, None]:
            yield file.ref.encode()

        return blocks()

    async def send_in(
        self, author: Author, text: str, *, group: bool = False, file: str = "", message_id: str = ""
    ) -> Receipt:
        """Write as this person, in private or in the group, with a file that holds this text if there is any."""
        files = (RemoteFile("note.txt", "text/plain", len(file.encode()), file),) if file else ()
        number = message_id or f"{self.name}-{next(self._numbers)}"
        at = Address(self.name, "bot", GROUP if group else author.id)
        inbound = InboundMessage(at, author, number, datetime.now(UTC), text, files, is_direct=not group)
        return await (await self.listening)(inbound)

    async def say(self, author: Author, text: str, *, group: bool = False, file: str = "") -> str:
        """Write, wait for the end of it, and return what was shown last there."""
        await (await self.send_in(author, text, group=group, file=file)).settled()
        return [said.text for said in self.said if said.chat == (GROUP if group else author.id)][-1]


class Town:
    """A workspace through all runs of its daemon, which lets everybody in on both platforms."""

    def __init__(self, folder: Path, server: OpenAIServer, more: str = "", scope: str = "sender") -> None:
        """Write the configuration."""
        self.server = server
        self.config = write_config(
            folder,
            server.base_url,
            f'[channels_config]\nsession_scope = "{scope}"\n'
            '[channels_config.telegram]\ntoken = "1:x"\nallowed_users = ["*"]\n'
            f'[channels_config.discord]\ntoken = "x"\nallowed_users = ["*"]\n{more}',
        )
        self.workspace = folder / "workspace"
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def open(self, clock: Clock = utc_now) -> AsyncIterator[tuple[Market, Market]]:
        """Run the daemon until the end of the block."""
        markets = {name: Market(name, self._numbers) for name in ("telegram", "discord")}
        edges = Edges(build_channels=lambda names, section, tools: markets, clock=clock)
        settings = load_settings(self.config, {})
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(settings, tuple(markets), edges), name="daemon")
            for market in markets.values():
                await asyncio.shield(market.listening)
            try:
                yield markets["telegram"], markets["discord"]
            finally:
                for market in markets.values():
                    market.closed.set()

    async def command(self, *words: str) -> tuple[int, str, str]:
        """Run the command line beside the daemon, if one runs; return the exit code and both outputs."""
        done = await asyncio.to_thread(run_command, self.config, *words)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def holding(self, *texts: str) -> dict[str, list[str]]:
        """Return the workspace's files that hold any of these texts in their bytes or their names."""
        found: dict[str, list[str]] = {}
        for path in self.workspace.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            held = [text for text in texts if text.encode() in content or text in str(path.relative_to(self.workspace))]
            if held:
                found[str(path.relative_to(self.workspace))] = held
        return found

    def records(self, session: str = "") -> list[dict[str, Any]]:
        """Return the records so far, of sessions whose name has `session`."""
        files = sorted((self.workspace / "sessions").glob("*.jsonl"))
        return [json.loads(line) for path in files if session in path.name for line in path.read_bytes().splitlines()]
