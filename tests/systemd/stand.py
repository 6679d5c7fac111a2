"""This module sets the service up in a box as an operator does, between loopback servers outside of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import agentd
from agentd.cli.unit_places import find_roots, is_hidden
from agentd.cli.unit_text import Placing, render_unit
from tests.flow.process import SECRET
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer
from tests.systemd.box import PATIENCE_SECONDS, Box, open_box

__all__ = ["AGENTD", "CONFIG", "HURRIED", "SHARED", "UNIT", "Stand", "open_stand"]

AGENTD = str(Path(sys.executable).with_name("agentd"))
CONFIG = "/etc/agentd/config.toml"
UNIT = "/etc/systemd/system/agentd.service"

SHARED = (Path(agentd.__file__).parents[1], Path(sys.prefix), Path(sys.base_prefix))
"""What the installation consists of; without them a container would not see what this machine has in /tmp."""

HURRIED = "[Service]\nRestartSec=100ms\nWatchdogSec=2\n"
"""A drop-in: the test waits for restarts."""


class Stand:
    """What a test of the service holds."""

    def __init__(self, box: Box, telegram: TelegramServer, model: OpenAIServer) -> None:
        """Hold it."""
        self.box = box
        self.telegram = telegram
        self.model = model

    def config(self, provider: str = "", memory: str = "enabled = false") -> str:
        """Return a configuration as a person writes it, with the secrets in it; the model outside is the default."""
        outside = f'kind = "openai"\nbase_url = "{self.model.base_url}"\nmodel = "test"\napi_key = "{SECRET}"'
        return (
            f"[provider]\n{provider or outside}\n\n[memory]\n{memory}\n\n"
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{self.telegram.base_url}"\n'
            f'allowed_users = ["*"]\n'
        )

    async def set_up(self, drop_in: str = "", config: str = "") -> None:
        """Leave everything as `agentd service install` does, with changes to the unit if there are any."""
        config, secrets = (
            config or self.config(),
            {"provider__api_key": SECRET, "channels_config__telegram__token": TOKEN},
        )
        for name, secret in secrets.items():
            config = config.replace(secret, "")
            self.box.write(f"/etc/credstore/agentd.{name}", secret, 0o600)
        self.box.write(CONFIG, config)
        roots = tuple(filter(is_hidden, find_roots()))
        self.box.write(UNIT, render_unit(Placing(Path(AGENTD), Path(CONFIG), roots, 30, is_personal=False)))
        if drop_in:
            self.box.write(f"{UNIT}.d/test.conf", drop_in)
        await self.box.do("systemctl", "daemon-reload")

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows in a call of the Bot API, or in its answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not happened():
                self.telegram.changed.clear()
                await self.telegram.changed.wait()

    async def says(self, text: str) -> str:
        """Let Ada say something; return the answer once it is as the model outside gives it, shown as a whole."""
        return await self.asks(text, f"You said: {text}")

    async def asks(self, text: str, answer: str = "") -> str:
        """Let Ada say something; return what the bot answers, once that holds `answer`."""
        before = {number for number, _ in self.shown()}
        self.telegram.post(text)
        answers: list[str] = []

        def is_answered() -> bool:
            answers[:] = [shown for number, shown in sorted(self.shown()) if number not in before]
            return any(answer in shown for shown in answers) and not self.telegram.unconfirmed

        await self.until(is_answered)
        return answers[-1]

    def shown(self) -> set[tuple[int, str]]:
        """Return the bot's messages, by their numbers."""
        return {(shown.message_id, shown.text) for shown in self.telegram.screen()}

    @property
    def polls(self) -> int:
        """Count the times that the bot asked for messages."""
        return sum(name == "getUpdates" for name, _ in self.telegram.calls)


@asynccontextmanager
async def open_stand(folder: Path) -> AsyncIterator[Stand]:
    """Open both servers and a box; nothing may be called that the Bot API does not know."""
    async with TelegramServer() as telegram, OpenAIServer() as model, open_box(folder, SHARED) as box:
        yield Stand(box, telegram, model)
        assert telegram.refusals == []
