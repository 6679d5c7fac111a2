"""The Chat Completions protocol as OpenAI and those who imitate it speak it: bytes in, events out, no I/O.

Read tolerantly: unknown fields, empty choices, role-only chunks and reasoning are passed over. Bounded, since a
server may be broken or hostile: what never ends is refused, whatever it was about to say. No half of a surrogate
pair leaves here, though servers send them: an emoji is two escapes in JSON, and some cut their pieces in between.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Literal

import msgspec

from agentd.providers.base import UNSEEN_NOTE, CompletionRequest, Event, Finished, PromptMessage, TextDelta, Usage
from agentd.providers.errors import ProviderRefused, ProviderRetryable
from agentd.providers.faults import Fault, Server, build_error, parse_fault_tree
from agentd.providers.sse import EventTooLong, SSEReader

__all__ = [
    "IMAGES",
    "MAX_BODY_BYTES",
    "StreamedReply",
    "build_body",
    "parse_completion",
    "parse_refused_parameter",
    "refuses_images",
    "sees_no_images",
]

MAX_EVENT_BYTES = 1024 * 1024
"""A chunk is a few hundred bytes; servers that send the whole reply at once still stay far below this."""

MAX_REPLY_CHARACTERS = 4 * 1024 * 1024
"""About a million tokens: more than any model gives in one reply, and no burden on memory."""

MAX_BODY_BYTES = 2 * MAX_REPLY_CHARACTERS
"""For a reply that comes as one JSON document."""

MAX_TOKENS = 2**53
"""A count above this (the largest integer that JSON carries safely) is nonsense."""

_REASONS: dict[str, Literal["stop", "length", "filtered"]] = {
    "length": "length",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "content_filter": "filtered",
}
"""How the finish reasons map; any other means that the model was done."""

_BROKEN_REASONS = frozenset({"error", "abort", "insufficient_system_resource"})
"""Finish reasons (OpenRouter, vLLM, DeepSeek) that confess that the reply was cut."""

IMAGES = "images"
"""Stands among the refused parameters for a model that does not look at images."""

_ABOUT_IMAGES = re.compile(
    r"\bimage|\bvision\b|multi-?modal|content must be a string|valid string|expected (?:a )?string|mmproj",
    re.IGNORECASE,
)
"""How servers refuse images: OpenAI and OpenRouter name them, older ones want a text, llama.cpp misses a projector."""

_SEES_NONE = re.compile(
    r"(?:not|n't|no)\b.{0,40}\bsupport\w*\b.{0,40}\b(?:image|vision|multi-?modal)"
    r"|(?:image|vision|multi-?modal)\w*\b.{0,40}\b(?:is|are) not (?:supported|available|enabled)"
    r"|only supported by certain models|content must be a string|valid string|expected (?:a )?string|mmproj",
    re.IGNORECASE,
)
"""Of those, the words that are not about one image."""

_IMAGE_STATUS = frozenset({400, 404, 415, 422, 500, 501})
"""A refusal of what was asked; a limit of calls, of size or of rights is none, whatever the model is called."""

_OPTIONAL = ("max_tokens", "temperature", "stream_options")
_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't) support|unrecogni[sz]ed|unknown|unexpected|deprecated"
    r"|not (?:permitted|allowed)|extra_forbidden|only the default",
    re.IGNORECASE,
)


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


class _Choice(msgspec.Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None


class _Chunk(msgspec.Struct):
    """A piece of a stream, or a whole completion: they differ in where the text stands."""

    choices: list[_Choice] | None = None
    usage: _Counts | None = None
    model: str | None = None
    error: object = None


_REPLACEMENT = "\ufffd"

_CHUNK = msgspec.json.Decoder(_Chunk)


def build_body(request: CompletionRequest, model: str, refused: frozenset[str]) -> bytes:
    """Write the request without the optional parameters that this model has refused before.

    The bound on the reply is never left out: where `max_tokens` was refused it has its newer name.
    """
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": message.role, "content": _content(message, refused)} for message in request.messages],
        "stream": True,
        "max_completion_tokens" if "max_tokens" in refused else "max_tokens": request.max_output_tokens,
    }
    if "temperature" not in refused:
        body["temperature"] = request.temperature
    if "stream_options" not in refused:
        body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


def _content(message: PromptMessage, refused: frozenset[str]) -> object:
    # A lone surrogate can be in a str, but not in JSON.
    text = message.content.encode("utf-8", "replace").decode("utf-8")
    if not message.images:
        return text
    if IMAGES in refused:
        return f"{text}\n\n{UNSEEN_NOTE}"
    urls = (f"data:{image.media_type};base64,{b64encode(image.content).decode()}" for image in message.images)
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"type": "text", "text": text}, *pictures]


def refuses_images(fault: Fault, request: CompletionRequest, refused: frozenset[str]) -> bool:
    """Tell whether a request was refused for its images, be it all images or just these."""
    has_images = IMAGES not in refused and any(message.images for message in request.messages)
    return has_images and fault.status in _IMAGE_STATUS and bool(_ABOUT_IMAGES.search(fault.message))


def sees_no_images(fault: Fault) -> bool:
    """Tell whether the model, or its server, looks at no image at all."""
    return bool(_SEES_NONE.search(fault.message))


def parse_refused_parameter(fault: Fault, refused: frozenset[str]) -> str | None:
    """Return which optional parameter the model does not know, if that is why it refused and we can do without it."""
    if fault.status not in {400, 422} or not _UNSUPPORTED.search(" ".join((*fault.names, fault.message))):
        return None
    words = re.findall(r"\w+", fault.parameter or fault.message)
    return next((name for name in _OPTIONAL if name not in refused and name in words), None)


def parse_completion(body: bytes, server: Server) -> Iterator[Event]:
    """Read a reply that came as one JSON document, from a server that does not stream."""
    reply = StreamedReply(server)
    if len(body) > MAX_BODY_BYTES:
        raise reply.endless()
    yield from reply.take(body)
    yield from reply.finish()


class StreamedReply:
    """One reply as it comes in: give it the bytes, take the events, and see whether it is `complete`."""

    def __init__(self, server: Server) -> None:
        """Start an empty reply from this server."""
        self._server = server
        self._reader = SSEReader(MAX_EVENT_BYTES)
        self._reason = ""
        self._usage = Usage()
        self._model = server.model
        self._characters = 0
        self._half = ""
        self.closed = False
        """Whether the server has said that nothing follows, or nothing that matters can: the reply has its counts."""

    @property
    def complete(self) -> bool:
        """Whether the server has given a reason why the reply ended."""
        return bool(self._reason)

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield what these bytes say, however the stream was cut into pieces."""
        try:
            for data in self._reader.feed(piece):
                yield from self.take(data)
        except EventTooLong as exc:
            raise self.endless() from exc

    def take(self, data: bytes) -> Iterator[Event]:
        """Yield what one event of the stream says."""
        if self.closed or not data.strip():
            return
        if data.strip() == b"[DONE]":
            self.closed = True
            return
        chunk = self._parse_chunk(data)
        if chunk.error:
            raise build_error(parse_fault_tree({"error": chunk.error}), self._server)
        self._note(chunk)
        for choice in (chunk.choices or [])[:1]:
            if text := self._join(_text_of(choice)):
                self._characters += len(text)
                if self._characters > MAX_REPLY_CHARACTERS:
                    raise self.endless()
                yield TextDelta(text)
            self._reason = choice.finish_reason or self._reason
        self.closed = self.complete and chunk.usage is not None

    def finish(self) -> Iterator[Event]:
        """Yield the end of the reply; raise `ProviderRetryable` if the server gave no reason for it."""
        if not self.complete:  # what may remain after the reason was cut, and is not missed
            for data in self._reader.finish():
                yield from self.take(data)
        if not self._reason or self._reason in _BROKEN_REASONS:
            raise ProviderRetryable(f"the model's server at {self._server.host} broke off its reply: try again")
        if self._half:
            self._half = ""
            yield TextDelta(_REPLACEMENT)
        yield Finished(_REASONS.get(self._reason, "stop"), self._usage, self._model)

    def endless(self) -> ProviderRefused:
        """Build the refusal of a reply that goes past a bound."""
        return ProviderRefused(
            f"the model's server at {self._server.host} sent a reply without an end: it was cut; try another model"
        )

    def _join(self, text: str) -> str:
        """Put before the text the half that was held back, and hold its own last half back."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return _mend(text[: len(text) - len(self._half)])

    def _note(self, chunk: _Chunk) -> None:
        self._model = (chunk.model or self._model)[:200]
        if chunk.usage is not None:
            self._usage = Usage(_count(chunk.usage.prompt_tokens), _count(chunk.usage.completion_tokens))

    def _parse_chunk(self, data: bytes) -> _Chunk:
        try:
            return _decode(data)
        except (ValueError, RecursionError) as exc:
            raise ProviderRetryable(
                f"the model's server at {self._server.host} sent a reply that cannot be read: try again"
            ) from exc


def _decode(data: bytes) -> _Chunk:
    """Read a chunk; where msgspec refuses one with escapes, look whether it was for half a pair alone.

    Only the text keeps its halves, for the pieces before and after. Raises ValueError or RecursionError.
    """
    try:
        return _CHUNK.decode(data)
    except msgspec.DecodeError:
        if b"\\u" not in data:
            raise
    chunk = msgspec.convert(json.loads(data.decode(), parse_constant=_refuse_constant), _Chunk)
    chunk.model = chunk.model and _mend(chunk.model)
    chunk.error = chunk.error and json.loads(_mend(json.dumps(chunk.error, ensure_ascii=False)))
    return chunk


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _mend(text: str) -> str:
    """Make pairs of halves that stand side by side, and U+FFFD of any other half."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text_of(choice: _Choice) -> str:
    message = choice.delta or choice.message
    content = message.content if message else None
    if isinstance(content, list):  # Mistral's reasoning models, among parts that are not for reading
        return "".join(part.text or "" for part in content if part.type == "text")
    return content or ""


def _count(value: float | None) -> int:
    return int(min(max(value or 0, 0), MAX_TOKENS))
