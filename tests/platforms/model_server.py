"""This module is what all loopback model servers have in common, whichever protocol they speak.

Each request takes the next behaviour that the test has enqueued; where there is none, the server answers what it
heard. As a process it prints its base URL as the first line and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

MAX_BODY_BYTES = 64 * 1024 * 1024


class Heard(Protocol):
    """A request that was understood."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return them, with names in lower case."""
        ...

    @property
    def sent(self) -> Mapping[str, object]:
        """Return the body, with no more than what was really sent."""
        ...

    @property
    def last_user_text(self) -> str:
        """Return what the person said last."""
        ...


A = TypeVar("A", bound=Heard)


class ModelCall(ABC):
    """One request being answered."""

    def __init__(self, server: ModelServer[Any, Any], request: web.Request) -> None:
        """Answer `request` on behalf of `server`."""
        self.server = server
        self.request = request
        self.response = web.StreamResponse()
        self.said = 0

    @abstractmethod
    async def open(self) -> None:
        """Begin a stream."""

    @abstractmethod
    async def say(self, text: str) -> None:
        """Send one piece of the reply."""

    @abstractmethod
    async def finish(self, reason: str = "") -> web.StreamResponse:
        """Send the reason (none: the model was done), the token counts, and the end."""

    @abstractmethod
    def whole(self, text: str, reason: str = "") -> web.StreamResponse:
        """Answer with one document."""

    @property
    @abstractmethod
    def wants_stream(self) -> bool:
        """Tell whether a stream was asked for."""

    async def begin(self) -> None:
        """Send the head of a stream."""
        self.response.content_type = "text/event-stream"
        self.response.headers["Cache-Control"] = "no-cache"
        await self.response.prepare(self.request)

    def drop(self) -> None:
        """Break the connection where it is."""
        if self.request.transport is not None:
            self.request.transport.close()


C = TypeVar("C", bound=ModelCall)

AnyBehaviour = Callable[[ModelCall], Awaitable[web.StreamResponse]]
"""One that every protocol can play."""


def reply(text: str, pieces: Sequence[str] = (), reason: str = "") -> AnyBehaviour:
    """Answer with the text, cut after each space or into the given pieces."""

    async def behave(call: ModelCall) -> web.StreamResponse:
        if not call.wants_stream:
            return call.whole(text, reason)
        await asyncio.sleep(call.server.reply_delay_seconds)
        await call.open()
        for number, piece in enumerate(pieces or _cut_into_words(text)):
            if number:
                await asyncio.sleep(call.server.piece_delay_seconds)
            await call.say(piece)
        return await call.finish(reason)

    return behave


class ModelServer(ABC, Generic[A, C]):
    """A server, running for as long as its block lasts."""

    root = ""
    """What stands between the address and `path` in the base URL."""

    path = ""
    """Of the one route, below the base URL."""

    def __init__(
        self,
        *,
        port: int = 0,
        answer: str | None = None,
        record: Path | None = None,
        reply_delay_seconds: float = 0,
        piece_delay_seconds: float = 0,
    ) -> None:
        """Listen on `port` (0: any free one); answer unscripted requests with `answer`; append each to `record`."""
        self.requests: list[A] = []
        self.reply_delay_seconds = reply_delay_seconds
        self.piece_delay_seconds = piece_delay_seconds
        self.closing = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a client has gone before its answer was complete."""
        self.base_url = ""
        self.models: tuple[str, ...] = ()
        """What it lists; with none it has no such list, like some."""
        self.key = ""
        """The one that it wants for its list; empty: none."""
        self._script: deque[Callable[[C], Awaitable[web.StreamResponse]]] = deque()
        self._port = port
        self._answer = answer
        self._record = record
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._refuse_unknown_routes])
        app.router.add_post(self.root + self.path, self._handle)
        app.router.add_get(
            self.root + self.path.rpartition("/")[0].removesuffix("/chat") + "/models", self._list_models
        )
        self.add_routes(app)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> ModelServer[A, C]:
        """Start to listen."""
        await self._start()
        return self

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}{self.root}"

    async def __aexit__(self, *_exc: object) -> None:
        """End what still hangs, and close every connection."""
        self.closing.set()
        await self._runner.cleanup()

    def add_routes(self, app: web.Application) -> None:
        """Take further routes."""

    @abstractmethod
    def read(self, data: bytes, headers: Mapping[str, str]) -> A | web.Response:
        """Understand a request, or refuse it."""

    @abstractmethod
    def call(self, request: web.Request, asked: A) -> C:
        """Return what answers a request."""

    @abstractmethod
    def refusal(self, status: int, message: str) -> web.Response:
        """Build an error answer."""

    def enqueue(self, *behaviours: Callable[[C], Awaitable[web.StreamResponse]]) -> None:
        """Answer the next requests so, one behaviour each."""
        self._script.extend(behaviours)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = self.read(await request.read(), headers)
        if isinstance(asked, web.Response):
            return asked
        self._keep(asked)
        behave = self._script.popleft() if self._script else self._default(asked)
        try:
            return await behave(self.call(request, asked))
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    async def _list_models(self, request: web.Request) -> web.Response:
        if self.key and self.key not in (
            request.headers.get("x-api-key"),
            request.headers.get("Authorization", "")[7:],
        ):
            return self.refusal(401, "Incorrect API key provided.")
        if not self.models:
            raise web.HTTPNotFound
        return json_answer(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    def _default(self, asked: A) -> Callable[[C], Awaitable[web.StreamResponse]]:
        return reply(f"You said: {asked.last_user_text[:200]}" if self._answer is None else self._answer)

    def _keep(self, asked: A) -> None:
        self.requests.append(asked)
        if self._record is not None:
            with self._record.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"headers": dict(asked.headers), "body": asked.sent}) + "\n")

    @web.middleware
    async def _refuse_unknown_routes(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as exc:
            return self.refusal(exc.status, f"Invalid URL or method ({request.method} {request.path})")


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """Build an answer in JSON."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def _cut_into_words(text: str) -> list[str]:
    words = text.split(" ")
    return [*(f"{word} " for word in words[:-1]), words[-1]] if text else []


async def _serve(server: ModelServer[Any, Any]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await stop.wait()


def run_as_process(make: Callable[..., ModelServer[Any, Any]]) -> None:
    """Serve until SIGTERM, as the command line says."""
    parser = argparse.ArgumentParser(description="A model server for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--reply-delay-ms", type=float, default=0)
    parser.add_argument("--piece-delay-ms", type=float, default=0)
    parser.add_argument("--answer")
    options = parser.parse_args()

    async def serve() -> None:
        server = make(
            port=options.port,
            answer=options.answer,
            record=options.record,
            reply_delay_seconds=options.reply_delay_ms / 1000,
            piece_delay_seconds=options.piece_delay_ms / 1000,
        )
        await _serve(server)

    asyncio.run(serve())
