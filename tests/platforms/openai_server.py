"""This module is a loopback model server for OpenAI's Chat Completions, as strict as the real one.

Each request takes the next behaviour that the test has enqueued (`openai_behaviours` and `model_behaviours` hold more
of them); where there is none, the server answers what it heard. It also runs as a process, for tests that start the
daemon as one:

    python tests/platforms/openai_server.py --port 0 --record requests.jsonl

prints its base URL as the first line and ends on SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiohttp import web

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from tests.platforms.model_schemas import find_faults, is_name
from tests.platforms.model_server import ModelCall, ModelServer, json_answer, reply, run_as_process
from tests.platforms.openai_embeddings import Embeddings

__all__ = ["Asked", "Behaviour", "Call", "ChatBody", "Message", "OpenAIServer", "failure", "reply"]


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


class JsonSchema(msgspec.Struct, forbid_unknown_fields=True):
    """The form of a reply, under a name."""

    name: str
    schema: dict[str, object]
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(msgspec.Struct, forbid_unknown_fields=True):
    """What a reply must be."""

    type: Literal["json_schema"]
    json_schema: JsonSchema

    def fault(self) -> str | None:
        """Say why this form cannot be had; one that is not strict is taken as it is."""
        name = self.json_schema.name
        if not is_name(name):
            return "Invalid 'response_format.json_schema.name': string does not match pattern."
        faults = find_faults(self.json_schema.schema) if self.json_schema.strict else iter(())
        return next((f"Invalid schema for response_format '{name}': {fault}" for fault in faults), None)


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
    response_format: ResponseFormat | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names are in lower case, `parameters` are those that were really sent."""

    body: ChatBody
    headers: Mapping[str, str]
    parameters: frozenset[str]

    @property
    def sent(self) -> Mapping[str, object]:
        """The body, with no more than what was really sent."""
        return {name: msgspec.to_builtins(getattr(self.body, name)) for name in sorted(self.parameters)}

    @property
    def last_user_text(self) -> str:
        """What the person said last."""
        return next((message.content for message in reversed(self.body.messages) if message.role == "user"), "")


class Call(ModelCall):
    """One request being answered."""

    def __init__(self, server: OpenAIServer, request: web.Request, asked: Asked) -> None:
        """Answer `request` on behalf of `server`."""
        super().__init__(server, request)
        self.asked = asked

    @property
    def wants_stream(self) -> bool:
        """Tell whether a stream was asked for."""
        return self.asked.body.stream

    async def open(self) -> None:
        """Begin a stream, with the chunk that only names the role."""
        await self.begin()
        await self.send(self._chunk({"role": "assistant", "content": ""}))

    async def send(self, event: object) -> None:
        """Send one event of a stream."""
        await self.response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")

    async def say(self, text: str) -> None:
        """Send one piece of the reply."""
        self.said += 1
        await self.send(self._chunk({"content": text}))

    async def finish(self, reason: str = "") -> web.StreamResponse:
        """Send the reason, the token counts if they were asked for, and the end."""
        await self.send(self._chunk({}, reason or "stop"))
        options = self.asked.body.stream_options
        if options and options.include_usage:
            await self.send({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()})
        await self.response.write(b"data: [DONE]\n\n")
        await self.response.write_eof()
        return self.response

    def whole(self, text: str, reason: str = "") -> web.StreamResponse:
        """Answer with one document, as when no stream was asked for."""
        self.said = len(text.split())
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason or "stop"}
        return json_answer(200, {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    def _chunk(self, delta: dict[str, str], reason: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, object]:
        number = len(self.server.requests)
        return {"id": f"chatcmpl-{number}", "object": kind, "created": 1_700_000_000, "model": self.asked.body.model}

    def _usage(self) -> dict[str, object]:
        heard = sum(len(message.content.split()) for message in self.asked.body.messages)
        counts = {"prompt_tokens": heard, "completion_tokens": self.said, "total_tokens": heard + self.said}
        return {**counts, "prompt_tokens_details": {"cached_tokens": 0}}


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


class OpenAIServer(ModelServer[Asked, Call]):
    """The server, running for as long as its block lasts."""

    root = "/v1"
    path = "/chat/completions"

    def add_routes(self, app: web.Application) -> None:
        """Make vectors, too."""
        self.embeddings = Embeddings(failure)
        app.router.add_post(f"{self.root}/embeddings", self.embeddings.handle)

    async def __aenter__(self) -> OpenAIServer:
        """Start to listen."""
        await self._start()
        return self

    def read(self, data: bytes, headers: Mapping[str, str]) -> Asked | web.Response:
        """Understand a request, or refuse it."""
        return _parse_request(data, headers)

    def call(self, request: web.Request, asked: Asked) -> Call:
        """Return what answers a request."""
        return Call(self, request, asked)

    def refusal(self, status: int, message: str) -> web.Response:
        """Build an error answer."""
        return failure(status, message)


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
    return json_answer(status, {"error": {"message": message, "type": kind, "param": parameter, "code": code}}, headers)


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
    if body.response_format is not None and (fault := body.response_format.fault()):
        return failure(400, fault, parameter="response_format")
    return Asked(body, headers, frozenset(fields))


if __name__ == "__main__":
    run_as_process(OpenAIServer)
