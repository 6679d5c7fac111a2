"""This module lists the model protocols with their loopback servers, for the suite that runs over all of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from agentd.providers.anthropic import ANTHROPIC
from agentd.providers.base import CompletionRequest, Event, PromptMessage, Provider, Schema
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.openai import OPENAI
from agentd.providers.remote import Dialect
from agentd.providers.settings import ModelSettings
from tests.platforms import anthropic_behaviours, openai_behaviours
from tests.platforms.anthropic_server import AnthropicServer
from tests.platforms.model_server import ModelServer
from tests.platforms.openai_server import OpenAIServer

REQUEST = CompletionRequest((PromptMessage("system", "be brief"), PromptMessage("user", "a planted prompt")), 64, 0.7)
SCHEMA = Schema.of(
    "facts",
    {
        "type": "object",
        "properties": {
            "facts": {"type": "array", "items": {"type": "string"}},
            "mood": {"type": ["string", "null"], "enum": ["good", "bad", None]},
        },
        "required": ["facts", "mood"],
        "additionalProperties": False,
    },
)
FORMED = replace(REQUEST, schema=SCHEMA)
KEY = "sk-planted-key"

Failures = list[tuple[Callable[[Any], Awaitable[web.StreamResponse]], type[ProviderError]]]


@dataclass(frozen=True, slots=True)
class Stand:
    """One protocol."""

    dialect: Dialect
    server: Callable[..., ModelServer[Any, Any]]
    rate_limited: Callable[[str], Callable[[Any], Awaitable[web.StreamResponse]]]
    piece: Callable[[str], bytes]
    """The bytes of one event that says this much."""
    schema_in: Callable[[Mapping[str, Any]], object]
    """Where the rules of a schema stand in a request; None where it has none."""
    no_schema: Sequence[Callable[[Any], Awaitable[web.StreamResponse]]]
    """How servers say that they hold no reply to a form."""
    complete: bytes
    """A stream that says "a" and why it ends, and is cut before its counts."""
    failures: Failures = field(default_factory=list)


def openai_piece(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def anthropic_piece(text: str) -> bytes:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    return b"event: content_block_delta\ndata: " + json.dumps(event).encode() + b"\n\n"


STANDS = {
    "openai": Stand(
        OPENAI,
        OpenAIServer,
        openai_behaviours.rate_limited,
        openai_piece,
        lambda sent: sent["response_format"]["json_schema"]["schema"] if "response_format" in sent else None,
        [
            openai_behaviours.fault(400, "This response_format type is unavailable now", "invalid_request_error"),
            openai_behaviours.fault(400, "'response_format.type' : value is not one of ['text','json_object']"),
            openai_behaviours.fault(400, "Structured outputs are not supported with this model."),
            openai_behaviours.fault(422, "unknown field `response_format`, expected one of `model`, `messages`"),
            openai_behaviours.fault(500, "response_format.type: Input should be 'text' or 'json_object'"),
            openai_behaviours.fault(501, "failed to parse grammar"),
            openai_behaviours.refuse_parameter("response_format"),
        ],
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: {"usa',
        [
            (openai_behaviours.failing(500), ProviderRetryable),
            (openai_behaviours.failing(529), ProviderRetryable),
            (openai_behaviours.malformed(), ProviderRetryable),
            (openai_behaviours.error_in_stream(["He"], {"code": 502, "message": "upstream"}), ProviderRetryable),
            (openai_behaviours.error_in_stream(["He"], {"code": "insufficient_quota"}), ProviderRefused),
            (openai_behaviours.context_too_long(), ContextTooLong),
            (openai_behaviours.fault(413, "Payload too large"), ContextTooLong),
            (openai_behaviours.unauthorised(), ProviderRefused),
            (openai_behaviours.fault(403, "not for you"), ProviderRefused),
            (openai_behaviours.fault(404, "The model `tiny` does not exist", "model_not_found"), ProviderRefused),
            (openai_behaviours.fault(429, "You exceeded your current quota", "insufficient_quota"), ProviderRefused),
            (openai_behaviours.fault(418, f"I know {KEY}\x00 and\nmore"), ProviderRefused),
        ],
    ),
    "anthropic": Stand(
        ANTHROPIC,
        AnthropicServer,
        anthropic_behaviours.rate_limited,
        anthropic_piece,
        lambda sent: sent["output_config"]["format"]["schema"] if "output_config" in sent else None,
        [
            anthropic_behaviours.fault(400, "output_config.format: Extra inputs are not permitted"),
            anthropic_behaviours.fault(400, "output_config: Extra inputs are not permitted"),
            anthropic_behaviours.fault(400, "Structured outputs are not supported by this model."),
            anthropic_behaviours.fault(422, "unknown field `output_config`"),
        ],
        anthropic_piece("a") + b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\ndata: {"typ',
        [
            (anthropic_behaviours.failing(500), ProviderRetryable),
            (anthropic_behaviours.overloaded(), ProviderRetryable),
            (anthropic_behaviours.malformed(), ProviderRetryable),
            (anthropic_behaviours.error_in_stream(["He"], 529, "Overloaded"), ProviderRetryable),
            (anthropic_behaviours.error_in_stream(["He"], 500, "Internal server error"), ProviderRetryable),
            (anthropic_behaviours.error_in_stream(["He"], 400, "prompt is too long"), ContextTooLong),
            (anthropic_behaviours.error_in_stream([], 401, "invalid x-api-key"), ProviderRefused),
            (anthropic_behaviours.context_too_long(), ContextTooLong),
            (anthropic_behaviours.fault(413, "Request exceeds the maximum size"), ContextTooLong),
            (anthropic_behaviours.unauthorised(), ProviderRefused),
            (anthropic_behaviours.no_credit(), ProviderRefused),
            (anthropic_behaviours.fault(403, "not for you"), ProviderRefused),
            (anthropic_behaviours.fault(404, "model: tiny"), ProviderRefused),
            (anthropic_behaviours.fault(418, f"I know {KEY}\x00 and\nmore"), ProviderRefused),
        ],
    ),
}


def settings(base_url: str, key: str = KEY, timeout_seconds: float = 30) -> ModelSettings:
    return ModelSettings(
        kind="openai",
        base_url=base_url,
        model="tiny",
        api_key=SecretStr(key),
        max_output_tokens=64,
        temperature=0.7,
        timeout_seconds=timeout_seconds,
    )


async def ask(provider: Provider, request: CompletionRequest = REQUEST) -> list[Event]:
    return [event async for event in provider.stream(request)]


async def fail(provider: Provider) -> ProviderError:
    """Return the fault, which is one line and holds no secret."""
    try:
        await ask(provider)
    except ProviderError as fault:
        text = str(fault)
        assert text.isprintable()
        assert KEY not in text
        assert "planted" not in text
        return fault
    raise AssertionError("no fault")
