"""A model server on this machine that speaks OpenAI's Chat Completions, as strictly as the real one.

Each request takes the next behaviour that the test has enqueued (`openai_behaviours` holds more of them); where
there is none, the server answers what it heard. It also runs as a process, for tests that start the daemon as one:

    python tests/platforms/openai_server.py --port 0 --record requests.jsonl

prints its base URL as the first line and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiohttp import web

PATH = "/v1/chat/completions"
MAX_BODY_BYTES = 64 * 1024 * 1024


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True):
    """Where an image is; here always in the address itself."""

    url: Annotated[str, msgspec.Meta(pattern="^data:image/[a-z]+;base64,")]


class TextPart(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """Text of a message that holds more than that."""

    text: str


class ImagePart(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """An image of a message."""

    image_url: ImageUrl


class SentMessage(msgspec.Struct, forbid_unknown_fields=True):
    """One message of a prompt, as it is sent."""

    role: Literal["system", "user", "assistant", "developer"]
    content: str | list[TextPart | ImagePart]
    name: str | None = None


class Message(msgspec.Struct, omit_defaults=True):
    """One message of a prompt: its text, and its images as addresses."""

    role: Literal["system", "user", "assistant", "developer"]
    content: str
    images: tuple[str, ...] = ()

    @classmethod
    def read(cls, sent: SentMessage) -> Message:
        """Take a message apart."""
        if isinstance(sent.content, str):
            return cls(sent.role, sent.content)
        text = "".join(part.text for part in sent.content if isinstance(part, TextPart))
        return cls(sent.role, text, tuple(part.image_url.url for part in sent.content if isinstance(part, ImagePart)))


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream should hold besides the text."""

    include_usage: bool = False


class ChatBody(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters that this server knows; any other is refused, as by the real one."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, msgspec.Meta(gt=0)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(gt=0)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    n: Literal[1] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names are in lower case, `parameters` are those that were really sent."""

    body: ChatBody
    headers: Mapping[str, str]
    parameters: frozenset[str]

    @property
    def last_user_text(self) -> str:
        """What the person said last."""
        return next((message.content for message in reversed(self.body.messages) if message.role == "user"), "")


class Call:
    """One request being answered."""

    def __init__(self, server: OpenAIServer, request: web.Request, asked: Asked) -> None:
        """Answer `request` on behalf of `server`."""
        self.server = server
        self.request = request
        self.asked = asked
        self.response = web.StreamResponse()
        self._said = 0

    async def open(self) -> None:
        """Begin a stream, with the chunk that only names the role."""
        self.response.content_type = "text/event-stream"
        self.response.headers["Cache-Control"] = "no-cache"
        await self.response.prepare(self.request)
        await self.send(self._chunk({"role": "assistant", "content": ""}))

    async def send(self, event: object) -> None:
        """Send one event of a stream."""
        await self.response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")

    async def say(self, text: str) -> None:
        """Send one piece of the reply."""
        self._said += 1
        await self.send(self._chunk({"content": text}))

    async def finish(self, reason: str = "stop") -> web.StreamResponse:
        """Send the reason, the token counts if they were asked for, and the end."""
        await self.send(self._chunk({}, reason))
        options = self.asked.body.stream_options
        if options and options.include_usage:
            await self.send({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()})
        await self.response.write(b"data: [DONE]\n\n")
        await self.response.write_eof()
        return self.response

    def drop(self) -> None:
        """Break the connection where it is."""
        if self.request.transport is not None:
            self.request.transport.close()

    def whole(self, text: str, reason: str = "stop") -> web.StreamResponse:
        """Answer with one document, as when no stream was asked for."""
        self._said = len(text.split())
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return _json(200, {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, object]:
        number = len(self.server.requests)
        return {"id": f"chatcmpl-{number}", "object": kind, "created": 1_700_000_000, "model": self.asked.body.model}

    def _usage(self) -> dict[str, int]:
        heard = sum(len(message.content.split()) for message in self.asked.body.messages)
        return {"prompt_tokens": heard, "completion_tokens": self._said, "total_tokens": heard + self._said}


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


def reply(text: str, pieces: Sequence[str] = (), reason: str = "stop") -> Behaviour:
    """Answer with the text, cut after each space or into the given pieces."""

    async def behave(call: Call) -> web.StreamResponse:
        if not call.asked.body.stream:
            return call.whole(text, reason)
        await asyncio.sleep(call.server.reply_delay_seconds)
        await call.open()
        for number, piece in enumerate(pieces or _cut_into_words(text)):
            if number:
                await asyncio.sleep(call.server.piece_delay_seconds)
            await call.say(piece)
        return await call.finish(reason)

    return behave


class OpenAIServer:
    """The server, running for as long as its block lasts."""

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
        self.requests: list[Asked] = []
        self.reply_delay_seconds = reply_delay_seconds
        self.piece_delay_seconds = piece_delay_seconds
        self.closing = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a client has gone before its answer was complete."""
        self.base_url = ""
        self._script: deque[Behaviour] = deque()
        self._port = port
        self._answer = answer
        self._record = record
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_json_faults])
        app.router.add_post(PATH, self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> OpenAIServer:
        """Start to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End what still hangs, and close every connection."""
        self.closing.set()
        await self._runner.cleanup()

    def enqueue(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, one behaviour each."""
        self._script.extend(behaviours)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = _parse_request(await request.read(), request.headers)
        if isinstance(asked, web.Response):
            return asked
        self._keep(asked)
        behave = self._script.popleft() if self._script else self._default(asked)
        try:
            return await behave(Call(self, request, asked))
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    def _default(self, asked: Asked) -> Behaviour:
        return reply(f"You said: {asked.last_user_text[:200]}" if self._answer is None else self._answer)

    def _keep(self, asked: Asked) -> None:
        self.requests.append(asked)
        if self._record is not None:
            body = {name: msgspec.to_builtins(getattr(asked.body, name)) for name in sorted(asked.parameters)}
            with self._record.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"headers": dict(asked.headers), "body": body}) + "\n")


def failure(
    status: int,
    message: str,
    *,
    code: str | None = None,
    parameter: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Build an error answer in OpenAI's shape."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return _json(status, {"error": {"message": message, "type": kind, "param": parameter, "code": code}}, headers)


def _json(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


@web.middleware
async def _json_faults(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as exc:
        return failure(exc.status, f"Invalid URL or method ({request.method} {request.path})")


def _parse_request(data: bytes, headers: Mapping[str, str]) -> Asked | web.Response:
    try:
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return failure(400, "We could not parse the JSON body of your request.")
    known = {field.name for field in msgspec.structs.fields(ChatBody)}
    for name in fields:
        if name not in known:
            return failure(400, f"Unrecognized request argument supplied: {name}", parameter=name)
    try:
        sent = msgspec.json.decode(fields.get("messages", b"[]"), type=list[SentMessage])
        read = {**fields, "messages": msgspec.Raw(msgspec.json.encode([Message.read(message) for message in sent]))}
        body = msgspec.json.decode(msgspec.json.encode(read), type=ChatBody)
    except (ValueError, RecursionError) as exc:
        return failure(400, f"Invalid request: {exc}")
    if body.stream_options is not None and not body.stream:
        words = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        return failure(400, words, parameter="stream_options")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        return failure(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    return Asked(body, {name.lower(): value for name, value in headers.items()}, frozenset(fields))


def _cut_into_words(text: str) -> list[str]:
    words = text.split(" ")
    return [*(f"{word} " for word in words[:-1]), words[-1]] if text else []


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = OpenAIServer(
        port=options.port,
        answer=options.answer,
        record=options.record,
        reply_delay_seconds=options.reply_delay_ms / 1000,
        piece_delay_seconds=options.piece_delay_ms / 1000,
    )
    async with server:
        sys.stdout.write(f"{server.base_url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="A model server for tests.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--reply-delay-ms", type=float, default=0)
    parser.add_argument("--piece-delay-ms", type=float, default=0)
    parser.add_argument("--answer")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
