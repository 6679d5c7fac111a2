"""This module holds the WebSockets of Socket Mode: several at once, each event on one of them
(https://docs.slack.dev/apis/events-api/using-socket-mode).
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from aiohttp import WSMsgType, web

from tests.platforms.slackapi.workspace import APP

MOST_LINES: Final = 10
"""Connections of one app at a time; one more is told to go."""

Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]


class Line:
    """One connection."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, ping_seconds: float, number: int) -> None:
        """Speak over `socket`."""
        self.number = number
        self.pings: list[bytes] = []
        """What the client has pinged with."""
        self.pongs: list[bytes] = []
        """What the client has answered to this side's pings."""
        self.heard = asyncio.Event()
        """Set at everything that the client sends; who waits on it clears it."""
        self.is_deaf = False
        """Whether nothing goes through in either direction, and nobody is told: a half-open connection."""
        self.only_greets = False
        """Whether it goes deaf once it has said one thing."""
        self._socket = socket
        self._request = request
        self._ping_seconds = ping_seconds
        self._frames: deque[str] = deque()
        self._called = asyncio.Event()
        self._is_ending = False

    def send(self, frame: Mapping[str, Any]) -> None:
        """Queue a frame."""
        self._frames.append(json.dumps(frame))
        self._called.set()

    def end(self) -> None:
        """Say goodbye once everything is sent."""
        self._is_ending = True
        self._called.set()

    def abort(self) -> None:
        """Break the connection where it is."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def serve(self, take: Callable[[str], None]) -> None:
        """Send and receive until either side ends; `take` takes what the client says."""
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write(), name="write")
            try:
                await self._read(take)
            finally:
                writing.cancel()

    async def _read(self, take: Callable[[str], None]) -> None:
        while True:
            message = await self._socket.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return
            if self.is_deaf:
                continue
            self.heard.set()
            if message.type is WSMsgType.PING:
                self.pings.append(message.data)
                await self._pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.pongs.append(message.data)
            else:
                take(message.data if message.type is WSMsgType.TEXT else repr(message.data))

    async def _pong(self, data: bytes) -> None:
        try:
            await self._socket.pong(data)
        except ConnectionError:
            return  # the next receive says so

    async def _write(self) -> None:
        try:
            while not self._is_ending or self._frames:
                await self._write_next()
            await self._socket.close()
        except ConnectionError:
            return  # the reader sees it too

    async def _write_next(self) -> None:
        if self._frames and not self.is_deaf:
            await self._socket.send_str(self._frames.popleft())
            if self.only_greets:
                self.is_deaf = True
            return
        self._called.clear()
        try:
            async with asyncio.timeout(self._ping_seconds):
                await self._called.wait()
        except TimeoutError:
            if not self.is_deaf:
                await self._socket.ping(f"Ping from applink-{self.number}".encode())


class Lines:
    """All that are open, and the tickets for the next."""

    def __init__(self, changed: asyncio.Event) -> None:
        """Begin with none."""
        self.open: list[Line] = []
        self.opened = 0
        """How many there have been in all."""
        self.ping_seconds = 5.0
        """How long a line is silent before this side pings."""
        self.only_greets = False
        """Whether nothing goes through the next ones after their greeting."""
        self.close_seconds = 10.0
        """How long after a `disconnect` the line is closed."""
        self._changed = changed
        self._tickets: set[str] = set()
        self._numbers = itertools.count(1)
        self._turns = itertools.count()
        self._timers: list[asyncio.TimerHandle] = []

    def issue_ticket(self) -> str:
        """Return what opens one line, once."""
        ticket = f"ticket-{next(self._numbers)}"
        self._tickets.add(ticket)
        return ticket

    def use_ticket(self, ticket: str) -> bool:
        """Tell whether this opens a line; it does not do so again."""
        if ticket not in self._tickets:
            return False
        self._tickets.remove(ticket)
        return True

    def next(self) -> Line | None:
        """Return the line whose turn it is; the app cannot tell which it will be."""
        return self.open[next(self._turns) % len(self.open)] if self.open else None

    async def serve(self, request: web.Request, take: Callable[[str], None]) -> web.StreamResponse:
        """Open a line, greet, and stay with it until it ends."""
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self.opened += 1
        line = Line(socket, request, self.ping_seconds, self.opened)
        line.only_greets = self.only_greets
        self.open.append(line)
        line.send(self._hello())
        if len(self.open) > MOST_LINES:
            self.disconnect("too_many_websockets", line, close_seconds=0)
        self._changed.set()
        try:
            await line.serve(take)
        finally:
            self.open.remove(line)
            self._changed.set()
        return socket

    def disconnect(self, reason: Reason, line: Line | None = None, *, close_seconds: float | None = None) -> None:
        """Ask the app to leave the oldest line, or this one; it is used on until it closes."""
        leaving = line or self.open[0]
        leaving.send({"type": "disconnect", "reason": reason, "debug_info": {"host": f"applink-{leaving.number}"}})
        seconds = self.close_seconds if close_seconds is None else close_seconds
        self._timers.append(asyncio.get_running_loop().call_later(seconds, leaving.end))

    def deafen(self) -> None:
        """Let nothing go through the lines that are open, though nobody is told: only silence shows it."""
        for line in self.open:
            line.is_deaf = True

    def drop(self) -> None:
        """Break every line, as a network does."""
        for line in self.open:
            line.abort()

    def stop(self) -> None:
        """Break every line for good."""
        for timer in self._timers:
            timer.cancel()
        self.drop()

    def _hello(self) -> dict[str, Any]:
        debug = {"host": f"applink-{self.opened}", "build_number": 1, "approximate_connection_time": 18_060}
        return {
            "type": "hello",
            "num_connections": len(self.open),
            "debug_info": debug,
            "connection_info": {"app_id": APP},
        }
