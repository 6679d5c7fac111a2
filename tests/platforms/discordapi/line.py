"""This module is one gateway WebSocket: frames in order, compressed as asked for, ended by a close code."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import WSMsgType, web

MOST_COMMANDS: Final = 120
COMMANDS_SECONDS: Final = 60
"""So many may be sent in so long (https://discord.com/developers/docs/events/gateway#rate-limiting)."""

UNDECODABLE: Final = 4002
RATE_LIMITED: Final = 4008
TIMED_OUT: Final = 4009


@dataclass(frozen=True, slots=True)
class Close:
    """The end, with a code."""

    code: int


class GatewayLine:
    """One connection, from its opening to its end."""

    def __init__(self, request: web.Request, clock: Callable[[], float]) -> None:
        """Serve who asks for it."""
        self.is_cut = False
        """While set, nothing reaches the bot: frames are lost on the way, with nobody the wiser."""
        self.sent_code: int | None = None
        """The code that this side ended it with; None where the bot did, or nobody."""
        self._request = request
        self._clock = clock
        self._socket = web.WebSocketResponse(timeout=1, compress=False, max_msg_size=4096)
        self._packer = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None
        self._frames: asyncio.Queue[str | Close] = asyncio.Queue()
        self._commands: deque[float] = deque()

    def send(self, frame: str) -> None:
        """Send a frame, after those before it."""
        if not self.is_cut:
            self._frames.put_nowait(frame)

    def close(self, code: int) -> None:
        """End the connection, after what is to be sent before."""
        self._frames.put_nowait(Close(code))

    def abort(self) -> None:
        """Break the connection where it is."""
        if self._request.transport is not None:
            self._request.transport.abort()

    @property
    def close_code(self) -> int | None:
        """The code that it ended with; None, or one of aiohttp's own, where it broke."""
        return self.sent_code or self._socket.close_code

    async def serve(self, take: Callable[[str], None], silence_seconds: float) -> web.WebSocketResponse:
        """Hand every message to `take` until the connection ends; who is silent for too long is cut off."""
        await self._socket.prepare(self._request)
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write(), name="write")
            await self._read(take, silence_seconds)
            if self._socket.closed:
                writing.cancel()
        return self._socket

    async def _read(self, take: Callable[[str], None], silence_seconds: float) -> None:
        while True:
            try:
                message = await self._socket.receive(timeout=silence_seconds)
            except TimeoutError:
                return self.close(TIMED_OUT)
            if message.type is not WSMsgType.TEXT:
                return None if self._socket.closed else self.close(UNDECODABLE)
            if self._is_too_many():
                return self.close(RATE_LIMITED)
            take(message.data)

    async def _write(self) -> None:
        while True:
            frame = await self._frames.get()
            if isinstance(frame, Close):
                self.sent_code = frame.code
                await self._socket.close(code=frame.code)
                return
            try:
                await self._send(frame)
            except ConnectionError:
                return

    async def _send(self, frame: str) -> None:
        if self._packer is None:
            await self._socket.send_str(frame)
        else:
            packed = self._packer.compress(frame.encode()) + self._packer.flush(zlib.Z_SYNC_FLUSH)
            await self._socket.send_bytes(packed)

    def _is_too_many(self) -> bool:
        now = self._clock()
        while self._commands and self._commands[0] <= now - COMMANDS_SECONDS:
            self._commands.popleft()
        self._commands.append(now)
        return len(self._commands) > MOST_COMMANDS
