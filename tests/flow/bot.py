"""This module runs the whole daemon in this process as a Telegram bot, between loopback servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from channels.settings import ChannelsSettings
from channels.telegram.channel import TelegramChannel
from channels.telegram.waits import Growing, Waits
from channels.tools import Tools
from tests.flow.house import House
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN, Shown, TelegramServer

QUICK = Growing(0.02, 0.1)
WAITS = Waits(poll_seconds=5, network=QUICK, conflict=QUICK, token=QUICK, empty=QUICK, busy=QUICK, refused=QUICK)

ADA, BOB = 7, 8
GROUP, FORUM = -40, -1000000000041


class Bot(House):
    """People talk by way of `telegram`."""

    name = "telegram"

    def __init__(self, folder: Path, telegram: TelegramServer, model: OpenAIServer) -> None:
        """Let everyone in, unless a run is told otherwise."""
        super().__init__(folder, model, telegram.changed)
        self.telegram = telegram
        self.channel: TelegramChannel | None = None

    def section(self) -> str:
        """Return the token, and where the server is."""
        return f'token = "{TOKEN}"\napi_base_url = "{self.telegram.base_url}"'

    def build(self, section: ChannelsSettings, tools: Tools) -> TelegramChannel:
        """Return the channel."""
        self.channel = TelegramChannel(section.telegram, tools, WAITS)
        return self.channel

    async def close(self) -> None:
        """Close its connections."""
        if self.channel is not None:
            await self.channel.close()

    @property
    def is_taken(self) -> bool:
        """Tell whether every update is confirmed."""
        return not self.telegram.unconfirmed

    async def shows(self, text: str, chat: int = ADA) -> Shown:
        """Wait until a message of the bot's contains this, and return it."""
        await self.until(lambda: any(text in shown.text for shown in self.telegram.screen(chat)))
        return next(shown for shown in self.telegram.screen(chat) if text in shown.text)


@asynccontextmanager
async def open_bot(folder: Path) -> AsyncIterator[Bot]:
    """Open both servers; at the end, nothing may have been called that the Bot API does not know."""
    async with TelegramServer() as telegram, OpenAIServer() as model:
        yield Bot(folder, telegram, model)
        assert telegram.refusals == []
