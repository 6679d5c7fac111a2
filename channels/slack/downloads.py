"""This module downloads files that people sent, block by block, and sends the bot's token to Slack's own hosts only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from urllib.parse import urljoin

import aiohttp
import structlog

from channels.base import RemoteFile
from channels.errors import FetchFailed, SendFailed, Unreachable
from channels.health import Health
from channels.slack.connection import Connection
from channels.slack.faults import translate
from channels.slack.files import ASK_FIRST, MOST_BYTES, TOO_BIG, read_file
from channels.slack.waits import Waits

__all__ = ["Downloads"]

log = structlog.get_logger()

BLOCK_BYTES = 64 * 1024
MOST_REDIRECTS = 3
_HTML = "text/html"


class Downloads:
    """Downloads files for one app."""

    def __init__(self, connection: Connection, health: Health, waits: Waits) -> None:
        """Prepare, without a call."""
        self._connection = connection
        self._health = health
        self._monotonic: Callable[[], float] = health.monotonic
        self._waits = waits

    async def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        if not file.ref:
            raise FetchFailed(file.unread or f"{file.name} is nothing that could be fetched.")
        until = self._monotonic() + self._waits.file_seconds
        address = await self._find(file)
        left = MOST_BYTES
        try:
            async with await self._open(address, file) as response:
                async for block in self._blocks(response, until):
                    left -= len(block)
                    if left < 0:
                        raise FetchFailed(TOO_BIG)
                    yield block
        except TimeoutError:
            raise Unreachable(f"a file did not come within {self._waits.file_seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as fault:
            raise Unreachable(f"a file cannot be read: {translate(fault)}") from None

    async def _blocks(self, response: aiohttp.ClientResponse, until: float) -> AsyncGenerator[bytes, None]:
        while True:
            async with asyncio.timeout(min(self._waits.call_seconds, until - self._monotonic())):
                block = await response.content.read(BLOCK_BYTES)
            if not block:
                return
            yield block

    async def _find(self, file: RemoteFile) -> str:
        """Return a file's address; if the message told only its id, ask Slack for it."""
        if not file.ref.startswith(ASK_FIRST):
            return file.ref
        try:
            answer = await self._connection.call(lambda client: client.files_info(file=file.ref[len(ASK_FIRST) :]))
        except SendFailed:
            raise _gone(file) from None
        told = answer.get("file")
        found = read_file(told) if isinstance(told, dict) else None
        if found is None or not found.ref or found.ref.startswith(ASK_FIRST):
            raise FetchFailed(found.unread) if found is not None and found.unread else _gone(file)
        return found.ref

    async def _open(self, address: str, file: RemoteFile) -> aiohttp.ClientResponse:
        """Request a file, and follow redirects as long as they lead to Slack."""
        for _ in range(MOST_REDIRECTS):
            authorization = self._connection.authorization(address)
            if authorization is None:
                raise FetchFailed(f"{file.name} is kept outside Slack, where I cannot read it: please upload it.")
            session = await self._connection.open()
            async with asyncio.timeout(self._waits.call_seconds):
                response = await session.get(address, headers=authorization, allow_redirects=False)
            if response.status not in (301, 302, 303, 307, 308):
                self._check(response, file)
                return response
            response.release()
            try:
                address = urljoin(address, response.headers.get("Location", ""))
            except ValueError:
                raise self._forbidden(file) from None
        raise self._forbidden(file)

    def _check(self, response: aiohttp.ClientResponse, file: RemoteFile) -> None:
        """Raise if the response is not the file; an HTML page instead of it is Slack's request to sign in."""
        is_page = response.content_type == _HTML and file.media_type != _HTML
        if response.status == HTTPStatus.OK and not is_page:
            return
        response.release()
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unreachable(f"a file cannot be read: Slack answers {response.status}")
        if response.status == HTTPStatus.NOT_FOUND:
            raise _gone(file)
        raise self._forbidden(file)

    def _forbidden(self, file: RemoteFile) -> FetchFailed:
        self._health.counts["files_refused"] += 1
        log.warning("file_not_given", channel="slack", reason="the app may lack the scope files:read")
        return FetchFailed(
            f"Slack does not let me read {file.name}: whoever runs me must give the app the scope files:read."
        )


def _gone(file: RemoteFile) -> FetchFailed:
    return FetchFailed(f"Slack does not give me {file.name} any more: please send it again.")
