"""A small channel to the Telegram server of the tests: it keeps the port's promises, and does nothing else."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from channels.base import Accept, Address, Author, Inbound, InboundEdit, InboundMessage, RemoteFile
from channels.errors import FetchFailed, NotAccepted, NotSent, SendFailed, Unreachable
from channels.health import Health
from channels.markup.rich import Dialect, RichText, plain
from channels.pacing import UNPACED

POLL_SECONDS = 20
TIMEOUT_SECONDS = 30
PAUSE_SECONDS = 0.05
"""Between tries, where the server cannot be reached or the disk takes nothing."""


class StandinChannel:
    """The port over httpx."""

    name = "telegram"
    streams = True
    nonce_seconds = 0.0
    typing_seconds = 0.0
    rates = UNPACED

    def __init__(self, base_url: str, token: str, most_units: int | None) -> None:
        """Speak to one server. Nothing closes the connections: replies are sent before and after `run`."""
        self.dialect = Dialect(plain, most_units=most_units)
        self.health = Health(time.monotonic)
        # Nothing is encrypted on this machine: without authorities, which take a third of the whole start to load.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.AsyncClient(base_url=f"{base_url}/bot{token}", timeout=TIMEOUT_SECONDS, verify=nobody)

    async def run(self, accept: Accept) -> None:
        """Take update after update; the offset moves when what came is on disk."""
        offset = 0
        while True:
            try:
                for update in await self._call("getUpdates", offset=offset, timeout=POLL_SECONDS):
                    await accept(parse_update(update))
                    offset = update["update_id"] + 1
            except (NotAccepted, Unreachable):
                await asyncio.sleep(PAUSE_SECONDS)

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send a message."""
        del nonce  # the Bot API knows no such thing
        sent = await self._call("sendMessage", chat_id=to.chat, text=text.text)
        return str(sent["message_id"])

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Change a message; one that says this already is no fault."""
        try:
            await self._call("editMessageText", chat_id=to.chat, message_id=message_id, text=text.text)
        except SendFailed as fault:
            if "message is not modified" not in str(fault):
                raise

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message; one that is gone is no fault."""
        try:
            await self._call("deleteMessage", chat_id=to.chat, message_id=message_id)
        except SendFailed as fault:
            if "message to delete not found" not in str(fault):
                raise

    async def show_typing(self, to: Address) -> None:
        """Show nothing."""
        del to

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Refuse."""
        raise FetchFailed(file.name)

    async def _call(self, method: str, **params: object) -> Any:
        try:
            response = await self._client.post(f"/{method}", json=params)
            answer = response.json()
        except httpx.ConnectError as fault:
            raise NotSent(f"{method}: {fault}") from fault
        except (httpx.TransportError, ValueError) as fault:
            raise Unreachable(f"{method}: {fault}") from fault
        if answer["ok"]:
            return answer["result"]
        if answer["error_code"] in (409, 429):
            raise NotSent(f"{method}: {answer['description']}")
        if answer["error_code"] >= 500:
            raise Unreachable(f"{method}: {answer['description']}")
        raise SendFailed(answer["description"])


def parse_update(update: Mapping[str, Any]) -> Inbound:
    """Read one update."""
    if "edited_message" in update:
        message = update["edited_message"]
        edited_at = datetime.fromtimestamp(message["edit_date"], UTC)
        return InboundEdit(_address(message), _author(message), str(message["message_id"]), edited_at, message["text"])
    message = update["message"]
    sent_at = datetime.fromtimestamp(message["date"], UTC)
    return InboundMessage(_address(message), _author(message), str(message["message_id"]), sent_at, message["text"])


def _address(message: Mapping[str, Any]) -> Address:
    return Address("telegram", "100", str(message["chat"]["id"]))


def _author(message: Mapping[str, Any]) -> Author:
    return Author(str(message["from"]["id"]), message["from"]["first_name"])
