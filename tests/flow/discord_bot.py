"""This module runs the whole daemon in this process as a Discord bot, between loopback servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from channels.discord import DiscordChannel
from channels.discord.waits import Growing, Waits
from channels.settings import ChannelsSettings
from channels.tools import Tools
from tests.flow.house import House
from tests.platforms.discord_server import ADA_DM, TOKEN, DiscordServer, Shown
from tests.platforms.openai_server import OpenAIServer

QUICK = Growing(0.02, 0.1)
WAITS = replace(
    Waits(), network=QUICK, identify=QUICK, refused=QUICK, switched_off=QUICK, close_seconds=0.2, greeting_seconds=0
)


class DiscordBot(House):
    """People talk by way of `discord`."""

    name = "discord"

    def __init__(self, folder: Path, discord: DiscordServer, model: OpenAIServer) -> None:
        """Let everyone in, unless a run is told otherwise."""
        super().__init__(folder, model, discord.changed)
        self.discord = discord
        self.channel: DiscordChannel | None = None
        self.waits = WAITS

    def section(self) -> str:
        """Return the token, and where the server is."""
        where = f'api_base_url = "{self.discord.base_url}"\ngateway_url = "{self.discord.gateway_url}"'
        return f'token = "{TOKEN}"\n{where}'

    def build(self, section: ChannelsSettings, tools: Tools) -> DiscordChannel:
        """Return the channel."""
        self.channel = DiscordChannel(section.discord, tools, self.waits)
        return self.channel

    async def close(self) -> None:
        """Do nothing: the daemon closes it."""

    @property
    def is_taken(self) -> bool:
        """Tell nothing: Discord does not want to know."""
        return True

    async def connected(self, sessions: int = 1) -> None:
        """Wait until it hears what is said, in so many sessions since the server began."""
        gateway = self.discord.gateway
        await self.until(lambda: len(gateway.identified) >= sessions and gateway.is_connected)

    async def shows(self, text: str, channel: int = ADA_DM) -> Shown:
        """Wait until a message of the bot's contains this, and return it."""
        await self.until(lambda: any(text in shown.text for shown in self.discord.screen(channel)))
        return next(shown for shown in self.discord.screen(channel) if text in shown.text)


@asynccontextmanager
async def open_discord_bot(folder: Path) -> AsyncIterator[DiscordBot]:
    """Open both servers; at the end, nothing may have been called that Discord does not know."""
    async with DiscordServer() as discord, OpenAIServer() as model:
        yield DiscordBot(folder, discord, model)
        assert discord.refusals == []
