"""This module is Slack for the crash tests: redelivery for a while, then only the history; second copies show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.crash.escapes import unescape
from tests.crash.platform import Platform
from tests.platforms.slack_behaviours import hold_after_effect, slow
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, DM, File, SlackServer

METHODS = {
    "send": "chat.postMessage",
    "edit": "chat.update",
    "delete": "chat.delete",
    "history": "conversations.history",
}

ACK_SECONDS = 0.3
"""How long an envelope is waited for; the real Slack's 3 s would only make the tests wait."""
RETRY_SECONDS = (0.05,) * 1_000
"""The real Slack delivers three times in six minutes: however long a kill takes here, it is shorter than that."""


class Slack:
    """Ada's direct messages with the bot."""

    chat = DM
    drops_copies = False
    besides = ("history",)

    def __init__(self, server: SlackServer, *, replays: bool) -> None:
        """Write by this server; without `replays` each event is delivered once."""
        self.server = server
        self.replays = replays
        server.deliveries.ack_seconds = ACK_SECONDS
        server.deliveries.retry_seconds = RETRY_SECONDS if replays else ()

    @property
    def signs(self) -> int:
        """Count the connections of Socket Mode."""
        return self.server.lines.opened

    @property
    def open(self) -> int:
        """Count what is not acked, and waited for."""
        return len(self.server.unacked)

    def section(self) -> str:
        """Return the tokens, and where the server is."""
        tokens = f'bot_token = "{BOT_TOKEN}"\napp_token = "{APP_TOKEN}"'
        return f'{tokens}\napi_base_url = "{self.server.base_url}"'

    def post(self, text: str, at: float | None, file: bytes | None) -> str:
        """Let the person write; what begins with a slash would be a command of Slack's own."""
        typed = f"!{text[1:]}" if text.startswith("/") else text
        return self.server.post(typed, at=at, files=() if file is None else (File(content=file),))

    def post_edit(self, message_id: str, text: str) -> None:
        """Let the person change that."""
        self.server.post_edit(message_id, text)

    def screen(self) -> dict[str, str]:
        """Return what is shown."""
        return {shown.ts: unescape(shown.seen) for shown in self.server.screen()}

    def hold(self, call: str, number: int) -> None:
        """Hold back an answer."""
        self.server.enqueue(METHODS[call], *[None] * (number - 1), hold_after_effect())

    def delay(self, call: str, gate: asyncio.Event) -> None:
        """Delay a call."""
        self.server.enqueue(METHODS[call], slow(gate))

    def count(self, call: str) -> int:
        """Count the calls of a method."""
        return sum(method == METHODS[call] for method, _ in self.server.calls)


@asynccontextmanager
async def open_platform(replays: bool) -> AsyncIterator[Platform]:
    """Open Slack."""
    async with SlackServer() as server:
        yield Slack(server, replays=replays)
