"""Writes and parses OpenAI's Chat Completions protocol, as compatible servers speak it too: bytes in, pieces out, no
I/O.

Parsing is tolerant: unknown fields, empty choices, role-only chunks and reasoning are ignored.
"""

from __future__ import annotations

from base64 import b64encode

import msgspec

from agentd.providers.base import UNSEEN_NOTE, CompletionRequest, PromptMessage, Schema
from agentd.providers.refusals import IMAGES, SCHEMA
from agentd.providers.reply import Counts, Ending, Piece, decode

__all__ = ["OPTIONAL", "build_body", "build_response_format", "parse_piece"]

OPTIONAL = ("max_tokens", "temperature", "stream_options")
"""Parameters that a request can do without, or pass under another name."""

_REASONS: dict[str, Ending] = {
    "length": "length",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "content_filter": "filtered",
    "error": "broken",  # OpenRouter
    "abort": "broken",  # vLLM
    "insufficient_system_resource": "broken",  # DeepSeek
}
"""How finish reasons are mapped; any other means that the model was done."""


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


class _Choice(msgspec.Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | float | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    prompt_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct):
    """A piece of a stream, or a whole completion: they differ in where the text is."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: object = None


_CHUNK = msgspec.json.Decoder(_Chunk)


def build_body(request: CompletionRequest, model: str, refused: frozenset[str]) -> bytes:
    """Encode the request, without the optional parameters that this model has refused before.

    The limit on the reply is never left out: if `max_tokens` was refused, its newer name is used.
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
    if request.schema is not None and SCHEMA not in refused:
        body["response_format"] = build_response_format(request.schema)
    return msgspec.json.encode(body)


def build_response_format(schema: Schema) -> dict[str, object]:
    """Return the parameter that holds a reply to a schema."""
    rules = msgspec.Raw(schema.rules.encode())
    return {"type": "json_schema", "json_schema": {"name": schema.name, "strict": True, "schema": rules}}


def parse_piece(data: bytes) -> Piece:
    """Parse one event of a stream, or a whole completion. Raises ValueError or RecursionError."""
    if data.strip() == b"[DONE]":
        return Piece(is_last=True)
    chunk = decode(data, _CHUNK)
    choice = chunk.choices[0] if chunk.choices else _Choice()
    return Piece(
        text=_text_of(choice),
        ending=_REASONS.get(choice.finish_reason, "stop") if choice.finish_reason else None,
        counts=_counts_of(chunk.usage) if chunk.usage else None,
        model=chunk.model or "",
        error=chunk.error,
    )


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


def _text_of(choice: _Choice) -> str:
    message = choice.delta or choice.message
    content = message.content if message else None
    if isinstance(content, list):  # Mistral's reasoning models, among parts that are not for reading
        return "".join(part.text or "" for part in content if part.type == "text")
    return content or ""


def _counts_of(usage: _Usage) -> Counts:
    details = usage.prompt_tokens_details
    return Counts(usage.prompt_tokens, usage.completion_tokens, details.cached_tokens if details else None)
