"""This module downloads files that people sent, block by block; python-telegram-bot would hold each whole in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

import httpx

from channels.base import RemoteFile
from channels.errors import FetchFailed, SendFailed, Unreachable
from channels.telegram.connection import Connection
from channels.telegram.files import MOST_BYTES, TOO_BIG
from channels.telegram.waits import Waits

__all__ = ["Downloads"]

BLOCK_BYTES = 64 * 1024


class Downloads:
    """Downloads files for one bot."""

    def __init__(self, connection: Connection, monotonic: Callable[[], float], waits: Waits) -> None:
        """Prepare, without a call."""
        self._connection = connection
        self._monotonic = monotonic
        self._waits = waits
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        if not file.ref:
            raise FetchFailed(file.unread or f"{file.name} is nothing that could be fetched.")
        address = await self._find(file)
        until = self._monotonic() + self._waits.file_seconds
        left = MOST_BYTES
        try:
            async with self._open().stream("GET", address) as response:
                _check(response, file)
                async for block in response.aiter_bytes(BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise FetchFailed(TOO_BIG)
                    if self._monotonic() > until:
                        raise Unreachable(f"a file did not come within {self._waits.file_seconds:g} s")
                    yield block
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            text = self._connection.clean(str(fault))
            raise Unreachable(f"a file cannot be read: {type(fault).__name__}: {text}") from None

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    async def _find(self, file: RemoteFile) -> str:
        """Ask for a file's address, which is good for an hour, and contains the token."""
        try:
            found = await self._connection.call(lambda bot: bot.get_file(file.ref))
        except SendFailed as fault:
            if "too big" in str(fault).lower():
                raise FetchFailed(TOO_BIG) from None
            raise _gone(file) from None
        if not found.file_path:
            raise _gone(file)
        if not found.file_path.startswith(("http://", "https://")):
            raise FetchFailed(f"I cannot read {file.name}: Telegram's server keeps it in a folder of its own.")
        return found.file_path

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            timeout = httpx.Timeout(self._waits.call_seconds, connect=self._waits.connect_seconds)
            self._client = httpx.AsyncClient(trust_env=False, verify=self._connection.tls, timeout=timeout)
        return self._client


def _check(response: httpx.Response, file: RemoteFile) -> None:
    if response.status_code == httpx.codes.OK:
        return
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code == 429:
        raise Unreachable(f"a file cannot be read: Telegram answers {response.status_code}")
    raise _gone(file)


def _gone(file: RemoteFile) -> FetchFailed:
    return FetchFailed(f"Telegram does not give me {file.name} any more: please send it again.")
