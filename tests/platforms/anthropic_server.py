"""This module is a loopback model server for Anthropic's Messages API, as strict as the real one.

Each request takes the next behaviour that the test has enqueued (`anthropic_behaviours` and `model_behaviours` hold
them); where there is none, the server answers what it heard. It also runs as a process:

    python tests/platforms/anthropic_server.py --port 0 --record requests.jsonl

prints its base URL as the first line and ends on SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiohttp import web

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from tests.platforms.model_schemas import find_faults
from tests.platforms.model_server import ModelCall, ModelServer, json_answer, run_as_process

VERSION = "2023-06-01"

MOST_MARKERS = 4
"""Places in a prompt that may be marked for the cache."""

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class CacheControl(msgspec.Struct, forbid_unknown_fields=True):
    """A place up to which the prompt is kept in the cache."""

    type: Literal["ephemeral"]


class ImageSource(msgspec.Struct, forbid_unknown_fields=True):
    """An image in the request itself."""

    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: Annotated[str, msgspec.Meta(min_length=1, pattern="^[A-Za-z0-9+/]+=*$")]


class TextBlock(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """Text, which is never blank."""

    text: Annotated[str, msgspec.Meta(pattern=r"\S")]
    cache_control: CacheControl | None = None


class ImageBlock(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="image"):
    """An image."""

    source: ImageSource
    cache_control: CacheControl | None = None


Blocks = Annotated[list[TextBlock | ImageBlock], msgspec.Meta(min_length=1)]


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One message of a prompt."""

    role: Literal["user", "assistant"]
    content: Blocks

    @property
    def text(self) -> str:
        """Its text, with an empty line between blocks."""
        return "\n\n".join(block.text for block in self.content if isinstance(block, TextBlock))


class OutputFormat(msgspec.Struct, forbid_unknown_fields=True):
    """The form of a reply."""

    type: Literal["json_schema"]
    schema: dict[str, object]


class OutputConfig(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted of a reply."""

    format: OutputFormat


class MessagesBody(msgspec.Struct, forbid_unknown_fields=True):
    """The parameters that this server knows; any other is refused, as by the real one."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    max_tokens: Annotated[int, msgspec.Meta(gt=0)]
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    system: Annotated[list[TextBlock], msgspec.Meta(min_length=1)] | None = None
    stream: bool = False
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    output_config: OutputConfig | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names are in lower case, `sent` is its body."""

    body: MessagesBody
    headers: Mapping[str, str]
    sent: Mapping[str, object]

    @property
    def last_user_text(self) -> str:
        """What the person said last."""
        return next((message.text for message in reversed(self.body.messages) if message.role == "user"), "")

    @property
    def marked(self) -> list[str]:
        """The texts at whose end the prompt is to be kept, in its order."""
        return [block.text for block in _blocks(self.body) if isinstance(block, TextBlock) and block.cache_control]


class Call(ModelCall):
    """One request being answered."""

    def __init__(self, server: AnthropicServer, request: web.Request, asked: Asked) -> None:
        """Answer `request` on behalf of `server`."""
        super().__init__(server, request)
        self.asked = asked

    @property
    def wants_stream(self) -> bool:
        """Tell whether a stream was asked for."""
        return self.asked.body.stream

    async def open(self) -> None:
        """Begin a stream, with what is known of the prompt, and the block that the reply stands in."""
        await self.begin()
        started = {**self._head(), "content": [], "stop_reason": None, "usage": {**self._heard(), "output_tokens": 1}}
        await self.send({"type": "message_start", "message": started})
        await self.send({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        await self.send({"type": "ping"})

    async def send(self, event: Mapping[str, object]) -> None:
        """Send one event of a stream, under its name."""
        name = str(event["type"]).encode()
        await self.response.write(b"event: " + name + b"\ndata: " + msgspec.json.encode(event) + b"\n\n")

    async def say(self, text: str) -> None:
        """Send one piece of the reply."""
        self.said += 1
        delta = {"type": "text_delta", "text": text}
        await self.send({"type": "content_block_delta", "index": 0, "delta": delta})

    async def finish(self, reason: str = "") -> web.StreamResponse:
        """Send the reason, the token counts, and the end."""
        await self.send({"type": "content_block_stop", "index": 0})
        delta = {"stop_reason": reason or "end_turn", "stop_sequence": None}
        await self.send({"type": "message_delta", "delta": delta, "usage": {"output_tokens": self.said}})
        await self.send({"type": "message_stop"})
        await self.response.write_eof()
        return self.response

    def whole(self, text: str, reason: str = "") -> web.StreamResponse:
        """Answer with one document, as when no stream was asked for."""
        usage = {**self._heard(), "output_tokens": len(text.split())}
        content = [{"type": "text", "text": text}]
        end = {"stop_reason": reason or "end_turn", "stop_sequence": None, "usage": usage}
        return json_answer(200, {**self._head(), "content": content, **end})

    def _head(self) -> dict[str, object]:
        number = len(self.server.requests)
        return {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": self.asked.body.model}

    def _heard(self) -> dict[str, int]:
        """Count the prompt; what stands before the last marker goes into the cache, or comes out of it."""
        texts = [block.text if isinstance(block, TextBlock) else "image" for block in _blocks(self.asked.body)]
        marks = [number for number, block in enumerate(_blocks(self.asked.body), 1) if block.cache_control]
        kept = sum(len(text.split()) for text in texts[: max(marks, default=0)])
        read = kept if len(self.server.requests) > 1 else 0
        return {
            "input_tokens": sum(len(text.split()) for text in texts) - kept,
            "cache_creation_input_tokens": kept - read,
            "cache_read_input_tokens": read,
        }


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


class AnthropicServer(ModelServer[Asked, Call]):
    """The server, running for as long as its block lasts."""

    path = "/v1/messages"

    async def __aenter__(self) -> AnthropicServer:
        """Start to listen."""
        await self._start()
        return self

    def read(self, data: bytes, headers: Mapping[str, str]) -> Asked | web.Response:
        """Understand a request, or refuse it."""
        if not headers.get("x-api-key"):
            return failure(401, "x-api-key header is required")
        if headers.get("anthropic-version") != VERSION:
            return failure(400, "anthropic-version: header is required")
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            return failure(400, "content-type: must be application/json")
        return _parse_request(data, headers)

    def call(self, request: web.Request, asked: Asked) -> Call:
        """Return what answers a request."""
        return Call(self, request, asked)

    def refusal(self, status: int, message: str) -> web.Response:
        """Build an error answer."""
        return failure(status, message)


def error(status: int, message: str) -> dict[str, object]:
    """Build an error in Anthropic's shape."""
    return {"type": "error", "error": {"type": _KINDS.get(status, "api_error"), "message": message}}


def failure(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Build an error answer in Anthropic's shape."""
    return json_answer(status, {**error(status, message), "request_id": "req_1"}, headers)


def _blocks(body: MessagesBody) -> Iterator[TextBlock | ImageBlock]:
    yield from body.system or []
    for message in body.messages:
        yield from message.content


def _parse_request(data: bytes, headers: Mapping[str, str]) -> Asked | web.Response:
    try:
        sent = msgspec.json.decode(data, type=dict[str, object])
    except (ValueError, RecursionError):
        return failure(400, "The request body is not valid JSON")
    known = {field.name for field in msgspec.structs.fields(MessagesBody)}
    for name in sent:
        if name not in known:
            return failure(400, f"{name}: Extra inputs are not permitted")
    try:
        body = msgspec.convert(sent, MessagesBody)
    except ValueError as exc:
        return failure(400, f"Invalid request: {exc}")
    roles = [message.role for message in body.messages]
    if roles[0] != "user":
        return failure(400, 'messages: first message must use the "user" role')
    if any(before == role for before, role in pairwise(roles)):
        return failure(400, 'messages: roles must alternate between "user" and "assistant"')
    if sum(block.cache_control is not None for block in _blocks(body)) > MOST_MARKERS:
        return failure(400, f"A maximum of {MOST_MARKERS} blocks with cache_control may be provided.")
    if body.output_config is not None:
        for fault in find_faults(body.output_config.format.schema):
            return failure(400, f"output_config.format.schema: {fault}")
    return Asked(body, headers, sent)


if __name__ == "__main__":
    run_as_process(AnthropicServer)
