"""This module is Telegram for the crash tests: unconfirmed updates are redelivered; second copies show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.crash.platform import Platform
from tests.platforms.telegram_behaviours import hold_after_effect, hold_confirmation, slow
from tests.platforms.telegram_server import CONFIRM, TOKEN, Document, TelegramServer

METHODS = {"send": "sendMessage", "edit": "editMessageText", "delete": "deleteMessage"}


class Telegram:
    """Ada's private chat."""

    chat = "7"
    replays = True
    drops_copies = False
    besides = ("confirmation",)

    def __init__(self, server: TelegramServer) -> None:
        """Write by this server."""
        self.server = server

    @property
    def signs(self) -> int:
        """Count the polls."""
        return sum(method == "getUpdates" for method, _ in self.server.calls)

    @property
    def open(self) -> int:
        """Count the updates that come again."""
        return len(self.server.unconfirmed)

    def section(self) -> str:
        """Return the token, and where the server is."""
        return f'token = "{TOKEN}"\napi_base_url = "{self.server.base_url}"'

    def post(self, text: str, at: float | None, file: bytes | None) -> str:
        """Let the person write."""
        date = None if at is None else int(at)
        if file is None:
            return str(self.server.post(text, date=date))
        return str(self.server.post(text, date=date, media=Document(file, "notes.txt", "text/plain")))

    def post_edit(self, message_id: str, text: str) -> None:
        """Let the person change that."""
        self.server.post_edit(int(message_id), text)

    def screen(self) -> dict[str, str]:
        """Return what is shown."""
        return {str(shown.message_id): shown.text for shown in self.server.screen()}

    def hold(self, call: str, number: int) -> None:
        """Hold back an answer."""
        is_confirmation = call == "confirmation"
        method, behaviour = (CONFIRM, hold_confirmation()) if is_confirmation else (METHODS[call], hold_after_effect())
        self.server.enqueue(method, *[None] * (number - 1), behaviour)

    def delay(self, call: str, gate: asyncio.Event) -> None:
        """Delay a call."""
        self.server.enqueue(METHODS[call], slow(gate))

    def count(self, call: str) -> int:
        """Count confirmations."""
        assert call == "confirmation"
        return self.server.confirmations


@asynccontextmanager
async def open_platform(replays: bool) -> AsyncIterator[Platform]:
    """Open Telegram, which always delivers again."""
    assert replays
    async with TelegramServer() as server:
        yield Telegram(server)


def server_of(platform: Platform) -> TelegramServer:
    """Return the server, for what only Telegram has."""
    assert isinstance(platform, Telegram)
    return platform.server
