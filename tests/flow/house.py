"""This module runs the whole daemon in this process between loopback servers; the platforms' bots build on it."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from agentd.app import Edges, serve
from agentd.app.parts import Intervals
from agentd.service.control_client import ask_daemon
from agentd.service.notifying import SILENT
from agentd.settings import Settings, load_settings
from agentd.tasks.timing import QueueTiming
from channels.base import Channel
from channels.settings import ChannelsSettings
from channels.tools import Tools
from tests.flow.process import MEMORY_OFF
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer

LIMIT_SECONDS = 30


class House(ABC):
    """A workspace through all runs of its daemon; the model answers by `model`."""

    name: str
    """The channel's."""

    def __init__(self, folder: Path, model: OpenAIServer, changed: asyncio.Event) -> None:
        """Look again whenever the platform sets `changed`."""
        self.folder = folder
        self.model = model
        self._changed = changed
        self.timing: QueueTiming | None = None
        """Of the background tasks; the usual one where there is none."""
        self.intervals = Intervals()
        self.notifier = SILENT
        self.load: Callable[[], Settings] | None = None
        """Reads the configuration anew on SIGHUP, which does nothing where there is none."""

    @abstractmethod
    def section(self) -> str:
        """Return the lines of the channel's own section: tokens and addresses."""

    @abstractmethod
    def build(self, section: ChannelsSettings, tools: Tools) -> Channel:
        """Return the channel, with waits that a test can bear."""

    @abstractmethod
    async def close(self) -> None:
        """Close what `build` opened last."""

    @property
    @abstractmethod
    def is_taken(self) -> bool:
        """Tell whether everything that people wrote was taken in, and the platform told so where it wants to know."""

    @property
    def workspace(self) -> Path:
        """Return where the daemon keeps everything."""
        return self.folder / "workspace"

    @asynccontextmanager
    async def run(self, more: str = "", *, allowed: str = '["*"]', channel: str = "") -> AsyncIterator[None]:
        """Run the daemon until the end of the block, then ask it to end and wait for that."""
        config = self.folder / "config.toml"
        memory = "" if "[memory]" in more else MEMORY_OFF
        config.write_text(
            f'workspace = "{self.workspace}"\n{more}\n{memory}'
            f'[provider]\nkind = "openai"\nbase_url = "{self.model.base_url}"\nmodel = "test"\n'
            f"[channels_config.{self.name}]\n{self.section()}\nallowed_users = {allowed}\n{channel}\n",
            encoding="utf-8",
        )
        settings = load_settings(config, {})
        try:
            async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
                edges = Edges(
                    self._build, timing=self.timing, intervals=self.intervals, notifier=self.notifier, load=self.load
                )
                daemon = tasks.create_task(serve(settings, (self.name,), edges), name="daemon")
                try:
                    yield
                finally:
                    daemon.cancel()
        finally:
            await self.close()

    def _build(self, names: Sequence[str], section: ChannelsSettings, tools: Tools) -> dict[str, Channel]:
        del names
        return {self.name: self.build(section, tools)}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that a call of the platform brings about, or that a record does beside it."""
        while not holds():
            self._changed.clear()
            try:
                async with asyncio.timeout(0.05):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def settled(self, count: int = 1) -> None:
        """Wait until so many endings are delivered, over all sessions, and everything is taken in."""
        await self.until(lambda: self.is_taken and len(self.records("delivery")) >= count)

    def sessions(self) -> list[Path]:
        """Return the session files so far."""
        return sorted((self.workspace / "sessions").glob("*.jsonl"))

    def records(self, kind: str = "", session: str = "") -> list[dict[str, Any]]:
        """Return the records so far of one type (messages: by their role), of sessions whose name has `session`."""
        files = [path for path in self.sessions() if session in path.name]
        lines = [line for path in files for line in path.read_bytes().split(b"\n")[:-1]]
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [record for record in records if kind in ("", record.get("role") or record["type"])]

    async def status(self) -> dict[str, Any]:
        """Return what `agentd status --json` shows."""
        lines: list[str] = []
        await asyncio.to_thread(ask_daemon, self.workspace, {"command": "status"}, lines.append)
        told: dict[str, Any] = json.loads(lines[0])
        return told

    def asked(self) -> list[str]:
        """Return what each request's last message said."""
        return [request.last_user_text for request in self.model.requests]


def says(*pieces: str, gate: asyncio.Event | None = None) -> Behaviour:
    """Answer with these pieces; with a gate, the last of them waits for it."""

    async def behave(call: Call) -> web.StreamResponse:
        try:
            await call.open()
            for piece in pieces[:-1]:
                await call.say(piece)
            if gate is not None:
                await gate.wait()
            await call.say(pieces[-1])
            return await call.finish()
        except ConnectionError:
            return call.response

    return behave
