"""The whole daemon in this process as a Telegram bot, between the loopback Telegram and a loopback model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from agentd.app import Edges, serve
from agentd.settings import load_settings
from channels.base import Channel
from channels.settings import ChannelsSettings
from channels.telegram.channel import TelegramChannel
from channels.telegram.waits import Growing, Waits
from channels.tools import Tools
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer
from tests.platforms.telegram_server import TOKEN, Shown, TelegramServer

LIMIT_SECONDS = 30

QUICK = Growing(0.02, 0.1)
WAITS = Waits(poll_seconds=5, network=QUICK, conflict=QUICK, token=QUICK, empty=QUICK, busy=QUICK, refused=QUICK)

ADA, BOB = 7, 8
GROUP, FORUM = -40, -1000000000041


class Bot:
    """A workspace through all runs of its daemon; people talk by way of `telegram`, the model answers by `model`."""

    def __init__(self, folder: Path, telegram: TelegramServer, model: OpenAIServer) -> None:
        """Let everyone in, unless a run is told otherwise."""
        self.folder = folder
        self.telegram = telegram
        self.model = model
        self.channel: TelegramChannel | None = None

    @property
    def workspace(self) -> Path:
        """Return where the daemon keeps everything."""
        return self.folder / "workspace"

    @asynccontextmanager
    async def run(self, more: str = "", *, allowed: str = '["*"]', channel: str = "") -> AsyncIterator[None]:
        """Run the daemon until the end of the block, then ask it to end and wait for that."""
        config = self.folder / "config.toml"
        config.write_text(
            f'workspace = "{self.workspace}"\n{more}\n'
            f'[provider]\nkind = "openai"\nbase_url = "{self.model.base_url}"\nmodel = "test"\n'
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{self.telegram.base_url}"\n'
            f"allowed_users = {allowed}\n{channel}\n",
            encoding="utf-8",
        )
        settings = load_settings(config, {})
        try:
            async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
                edges = Edges(build_channels=self._build)
                daemon = tasks.create_task(serve(settings, ("telegram",), edges), name="daemon")
                try:
                    yield
                finally:
                    daemon.cancel()
        finally:
            if self.channel is not None:
                await self.channel.close()

    def _build(self, names: Sequence[str], section: ChannelsSettings, tools: Tools) -> dict[str, Channel]:
        del names
        self.channel = TelegramChannel(section.telegram, tools, WAITS)
        return {"telegram": self.channel}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that a call of the platform brings about, or that a record does beside it."""
        while not holds():
            self.telegram.changed.clear()
            try:
                async with asyncio.timeout(0.05):
                    await self.telegram.changed.wait()
            except TimeoutError:
                continue

    async def shows(self, text: str, chat: int = ADA) -> Shown:
        """Wait until a message of the bot's contains this, and return it."""
        await self.until(lambda: any(text in shown.text for shown in self.telegram.screen(chat)))
        return next(shown for shown in self.telegram.screen(chat) if text in shown.text)

    async def settled(self, count: int = 1) -> None:
        """Wait until so many endings are delivered, over all sessions, and everything is confirmed."""
        await self.until(lambda: not self.telegram.unconfirmed and len(self.records("delivery")) >= count)

    def sessions(self) -> list[Path]:
        """Return the session files so far."""
        return sorted((self.workspace / "sessions").glob("*.jsonl"))

    def records(self, kind: str = "", session: str = "") -> list[dict[str, Any]]:
        """Return the records so far of one type (messages: by their role), of sessions whose name has `session`."""
        files = [path for path in self.sessions() if session in path.name]
        lines = [line for path in files for line in path.read_bytes().split(b"\n")[:-1]]
        records: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [record for record in records if kind in ("", record.get("role", record["type"]))]

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


@asynccontextmanager
async def open_bot(folder: Path) -> AsyncIterator[Bot]:
    """Open both servers; at the end, nothing may have been called that the Bot API does not know."""
    async with TelegramServer() as telegram, OpenAIServer() as model:
        yield Bot(folder, telegram, model)
        assert telegram.refusals == []
