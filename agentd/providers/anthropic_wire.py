"""Writes and parses Anthropic's Messages protocol, as compatible servers speak it too: bytes in, pieces out, no I/O.

The prompt begins with the same bytes from turn to turn, and is marked for the server's prompt cache in two places:
after the system prompt, and before the newest message. Parsing is tolerant: unknown events, pings, thinking and every
block that is no text are ignored.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import takewhile

import msgspec

from agentd.providers.base import UNSEEN_NOTE, CompletionRequest, PromptMessage
from agentd.providers.refusals import IMAGES, SCHEMA
from agentd.providers.reply import Counts, Ending, Piece, decode

__all__ = ["OPTIONAL", "build_body", "parse_piece"]

OPTIONAL = ("temperature", "cache_control")
"""Newer models refuse the first, some compatible servers the second."""

MOST_TEMPERATURE = 1.0
"""The protocol's limit; OpenAI's is 2."""

NOTHING_BEFORE = "[What was said before is not shown.]"
"""Begins a prompt that would not begin with the person, as the protocol demands."""

_ENDINGS: dict[str, Ending] = {
    "max_tokens": "length",
    "refusal": "filtered",
    "model_context_window_exceeded": "full",
}
"""How stop reasons are mapped; any other means that the model was done."""

Block = dict[str, object]


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    stop_reason: str | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    cache_creation_input_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None


class _Message(msgspec.Struct):
    model: str | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    """An event of a stream, or a whole message, which uses other fields."""

    type: str = ""
    message: _Message | None = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: object = None


_EVENT = msgspec.json.Decoder(_Event)


def build_body(request: CompletionRequest, model: str, refused: frozenset[str]) -> bytes:
    """Encode the request, without the optional parameters that this model has refused before."""
    system = [message.content for message in takewhile(_is_system, request.messages)]
    head = [_text_block("\n\n".join(system))] if any(text.strip() for text in system) else []
    turns = _turns(request.messages[len(system) :], refused)
    if "cache_control" not in refused:
        _mark(head)
        _mark([block for _, blocks in turns[:-1] for block in blocks])
    body: Block = {"model": model, "max_tokens": request.max_output_tokens, "stream": True}
    if "temperature" not in refused:
        body["temperature"] = min(request.temperature, MOST_TEMPERATURE)
    if head:
        body["system"] = head
    body["messages"] = [{"role": role, "content": blocks} for role, blocks in turns]
    if request.schema is not None and SCHEMA not in refused:
        rules = msgspec.Raw(request.schema.rules.encode())
        body["output_config"] = {"format": {"type": "json_schema", "schema": rules}}
    return msgspec.json.encode(body)


def parse_piece(data: bytes) -> Piece:
    """Parse one event of a stream, or a whole message. Raises ValueError or RecursionError."""
    event = decode(data, _EVENT)
    if event.error or event.type == "error":
        return Piece(error=event.error or "an error without words")
    match event.type:
        case "message_start":
            started = event.message or _Message()
            return Piece(model=started.model or "", counts=_counts_of(started.usage))
        case "content_block_start" if event.content_block and event.content_block.type == "text":
            return Piece(text=event.content_block.text or "")
        case "content_block_delta" if event.delta and event.delta.type == "text_delta":
            return Piece(text=event.delta.text or "")
        case "message_delta":
            return Piece(ending=_ending_of(event.delta), counts=_counts_of(event.usage))
        case "message_stop":
            return Piece(is_last=True)
        case "message":
            text = "".join(block.text or "" for block in event.content or [] if block.type == "text")
            ending = _ending_of(_Delta(stop_reason=event.stop_reason))
            return Piece(text, ending, _counts_of(event.usage), event.model or "")
        case _:
            return Piece()


def _is_system(message: PromptMessage) -> bool:
    return message.role == "system"


def _turns(messages: tuple[PromptMessage, ...], refused: frozenset[str]) -> list[tuple[str, list[Block]]]:
    """Make the roles alternate, beginning with the person; a system message in between becomes the person's."""
    turns: list[tuple[str, list[Block]]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, refused)
        if not turns and role == "assistant":
            turns.append(("user", [_text_block(NOTHING_BEFORE)]))
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    return turns or [("user", [_text_block(NOTHING_BEFORE)])]


def _blocks(message: PromptMessage, refused: frozenset[str]) -> list[Block]:
    """Return the blocks of a message; without blank text, which the protocol refuses."""
    text = message.content
    if message.images and IMAGES in refused:
        text = f"{text}\n\n{UNSEEN_NOTE}"
    images = () if IMAGES in refused else message.images
    pictures: list[Block] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": image.media_type,
                "data": b64encode(image.content).decode(),
            },
        }
        for image in images
    ]
    return [*pictures, *([_text_block(text)] if text.strip() else [])]


def _text_block(text: str) -> Block:
    # A lone surrogate can be in a str, but not in JSON.
    return {"type": "text", "text": text.encode("utf-8", "replace").decode("utf-8")}


def _mark(blocks: list[Block]) -> None:
    """Ask the server to cache everything up to the last of these blocks."""
    if blocks:
        blocks[-1]["cache_control"] = {"type": "ephemeral"}


def _ending_of(delta: _Delta | None) -> Ending | None:
    return _ENDINGS.get(delta.stop_reason, "stop") if delta and delta.stop_reason else None


def _counts_of(usage: _Usage | None) -> Counts | None:
    """Return the counts; the input includes what was read from or written to the cache, unlike `input_tokens`."""
    if usage is None:
        return None
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    whole = None if usage.input_tokens is None else usage.input_tokens + (read or 0) + (written or 0)
    return Counts(whole, usage.output_tokens, read)
