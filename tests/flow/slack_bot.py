"""This module runs the whole daemon in this process as a Slack app, between loopback servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from channels.settings import ChannelsSettings
from channels.slack.channel import SlackChannel
from channels.slack.waits import WAITS, Growing
from channels.tools import Tools
from tests.flow.house import House
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.slack_server import APP_TOKEN, BOT, BOT_TOKEN, DM, Delivery, Shown, SlackServer

SOON = Growing(0.02, 0.1)
QUICK = replace(
    WAITS, network=SOON, token=SOON, refused=SOON, places=SOON, scan_seconds=0.02, linger_seconds=0.3, steady_seconds=0
)


class App(House):
    """People talk by way of `slack`."""

    name = "slack"

    def __init__(self, folder: Path, slack: SlackServer, model: OpenAIServer) -> None:
        """Let everyone in, unless a run is told otherwise."""
        super().__init__(folder, model, slack.changed)
        self.slack = slack
        self.channel: SlackChannel | None = None
        self.further_commands: dict[str, str] = {}
        """Commands that the daemon offers besides its own."""

    def section(self) -> str:
        """Return the tokens, and where the server is."""
        return f'bot_token = "{BOT_TOKEN}"\napp_token = "{APP_TOKEN}"\napi_base_url = "{self.slack.base_url}"'

    def build(self, section: ChannelsSettings, tools: Tools) -> SlackChannel:
        """Return the channel."""
        tools = replace(tools, commands={**tools.commands, **self.further_commands})
        self.channel = SlackChannel(section.slack, tools, QUICK)
        return self.channel

    async def close(self) -> None:
        """Close its connections."""
        if self.channel is not None:
            await self.channel.close()
            await self.until(lambda: not self.slack.lines.open)

    @property
    def is_taken(self) -> bool:
        """Tell whether no event waits for its ack, but those of what the bot itself has written."""
        return all(_is_own(delivery) for delivery in self.slack.unacked)

    async def hears(self) -> None:
        """Wait until there is a connection."""
        await self.until(lambda: bool(self.slack.lines.open))

    async def shows(self, text: str, channel: str | None = DM) -> Shown:
        """Wait until a message of the bot's contains this, and return it."""
        await self.until(lambda: any(text in shown.seen for shown in self.slack.screen(channel)))
        return next(shown for shown in self.slack.screen(channel) if text in shown.seen)


def _is_own(delivery: Delivery) -> bool:
    event = delivery.event
    return BOT in (event.get("user"), event.get("message", {}).get("user"))


@asynccontextmanager
async def open_app(folder: Path) -> AsyncIterator[App]:
    """Open both servers; at the end, nothing may have been called that Slack does not know, and nobody pinged."""
    async with SlackServer() as slack, OpenAIServer() as model:
        yield App(folder, slack, model)
        assert slack.refusals == []
        assert slack.pings == []
