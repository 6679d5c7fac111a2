"""This module downloads files that people sent, block by block; discord.py would hold each whole in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus

import aiohttp

from channels.base import RemoteFile
from channels.discord.files import MOST_BYTES, TOO_BIG
from channels.discord.waits import Waits
from channels.errors import FetchFailed, Unreachable

__all__ = ["Downloads"]

BLOCK_BYTES = 64 * 1024


class Downloads:
    """Downloads attachments; their addresses need no token and are good for a day."""

    def __init__(self, monotonic: Callable[[], float], waits: Waits) -> None:
        """Prepare, without a call."""
        self._monotonic = monotonic
        self._waits = waits

    async def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        if not file.ref.startswith(("https://", "http://")):
            raise FetchFailed(file.unread or f"{file.name} is nothing that could be fetched.")
        until = self._monotonic() + self._waits.file_seconds
        left = MOST_BYTES
        limit = aiohttp.ClientTimeout(total=self._waits.file_seconds, sock_connect=self._waits.call_seconds)
        try:
            # Each file opens its own session: files are rare, and a session that is kept would have to be closed.
            async with aiohttp.ClientSession(timeout=limit) as session, session.get(file.ref) as response:
                _check(response, file)
                async for block in response.content.iter_chunked(BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise FetchFailed(TOO_BIG)
                    if self._monotonic() > until:
                        raise Unreachable(f"a file did not come within {self._waits.file_seconds:g} s")
                    yield block
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            raise Unreachable(f"a file cannot be read: {type(fault).__name__}") from None


def _check(response: aiohttp.ClientResponse, file: RemoteFile) -> None:
    status = response.status
    if status == HTTPStatus.OK:
        return
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Unreachable(f"a file cannot be read: Discord answers {status}")
    raise FetchFailed(f"Discord does not give me {file.name} any more: please send it again.")
