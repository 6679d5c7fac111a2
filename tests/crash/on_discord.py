"""This module is Discord for the crash tests: no redelivery, but a history; a nonce drops a second copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.crash.escapes import unescape
from tests.crash.platform import Platform
from tests.platforms.discord_behaviours import hold_after_effect, slow
from tests.platforms.discord_server import ADA_DM, DELETE, EDIT, HISTORY, SEND, TOKEN, Attachment, DiscordServer

ROUTES = {"send": SEND, "edit": EDIT, "delete": DELETE, "history": HISTORY}


class Discord:
    """Ada's direct messages with the bot."""

    chat = str(ADA_DM)
    replays = False
    drops_copies = True
    open = 0
    besides = ("history",)

    def __init__(self, server: DiscordServer) -> None:
        """Write by this server."""
        self.server = server

    @property
    def signs(self) -> int:
        """Count the sessions of the gateway."""
        return len(self.server.gateway.identified)

    def section(self) -> str:
        """Return the token, and where the server is."""
        where = f'api_base_url = "{self.server.base_url}"\ngateway_url = "{self.server.gateway_url}"'
        return f'token = "{TOKEN}"\n{where}'

    def post(self, text: str, at: float | None, file: bytes | None) -> str:
        """Let the person write; commands are typed as text, too: an interaction is in no history."""
        return str(self.server.post(text, at=at, attachments=() if file is None else (Attachment(content=file),)))

    def post_edit(self, message_id: str, text: str) -> None:
        """Let the person change that."""
        self.server.post_edit(int(message_id), text)

    def screen(self) -> dict[str, str]:
        """Return what is shown."""
        return {str(shown.id): unescape(shown.text) for shown in self.server.screen()}

    def hold(self, call: str, number: int) -> None:
        """Hold back an answer."""
        self.server.enqueue(ROUTES[call], *[None] * (number - 1), hold_after_effect())

    def delay(self, call: str, gate: asyncio.Event) -> None:
        """Delay a call."""
        self.server.enqueue(ROUTES[call], slow(gate))

    def count(self, call: str) -> int:
        """Count the calls of a route."""
        return len(self.server.called(ROUTES[call]))


@asynccontextmanager
async def open_platform(_replays: bool) -> AsyncIterator[Platform]:
    """Open Discord, which never delivers again."""
    async with DiscordServer() as server:
        yield Discord(server)
