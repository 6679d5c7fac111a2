"""This module opens clients of the loopback Telegram: the daemon's library, and one that can call wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from telegram import Bot
from telegram.request import HTTPXRequest

from tests.platforms.telegram_server import TOKEN, TelegramServer


class RawClient:
    """A client that calls whatever it likes."""

    def __init__(self, server: TelegramServer, client: httpx.AsyncClient) -> None:
        """Call this server."""
        self.server = server
        self.token = TOKEN
        self.client = client

    @property
    def url(self) -> str:
        """What every method's address begins with."""
        return f"{self.server.base_url}/bot{self.token}"

    async def call(self, method: str, **params: object) -> Any:
        """Return what the server answers to a call in JSON."""
        return (await self.client.post(f"{self.url}/{method}", json=params)).json()

    async def result(self, method: str, **params: object) -> Any:
        """Return the result of a call that must succeed."""
        answer = await self.call(method, **params)
        assert answer["ok"] is True, answer
        return answer["result"]

    async def refusal(self, method: str, **params: object) -> tuple[int, str]:
        """Return the code and the words of a call that must fail."""
        answer = await self.call(method, **params)
        assert answer["ok"] is False
        return answer["error_code"], answer["description"]

    async def text_refusal(self, text: str, *entities: object) -> str:
        """Return why a text is refused, without the beginning that all have."""
        code, words = await self.refusal("sendMessage", chat_id=7, text=text, entities=entities)
        assert code == 400
        return words.removeprefix("Bad Request: ")


@asynccontextmanager
async def open_raw() -> AsyncIterator[RawClient]:
    """Open a server and a client of it."""
    async with TelegramServer() as server, httpx.AsyncClient(timeout=10, trust_env=False) as client:
        yield RawClient(server, client)


@asynccontextmanager
async def open_bot() -> AsyncIterator[tuple[TelegramServer, Bot]]:
    """Open a server and a bot of python-telegram-bot; at the end, the bot must have kept to the description."""
    async with TelegramServer() as server:
        requests = [HTTPXRequest(httpx_kwargs={"trust_env": False}) for _ in range(2)]
        bot = Bot(
            TOKEN,
            base_url=f"{server.base_url}/bot",
            base_file_url=f"{server.base_url}/file/bot",
            request=requests[0],
            get_updates_request=requests[1],
        )
        async with bot:
            yield server, bot
    assert server.refusals == []
