"""This module defines what the loopback OpenAI server can do instead of answering (`OpenAIServer.enqueue`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from tests.platforms.model_behaviours import cut, hang, html, raw, slow, whole
from tests.platforms.openai_server import Behaviour, Call, failure

__all__ = [
    "context_too_long",
    "cut",
    "error_in_stream",
    "failing",
    "fault",
    "hang",
    "html",
    "malformed",
    "rate_limited",
    "raw",
    "refuse_parameter",
    "slow",
    "unauthorised",
    "whole",
]


def fault(status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Refuse with this status and these words."""

    async def behave(_call: Call) -> web.StreamResponse:
        return failure(status, message, code=code, headers=headers)

    return behave


def rate_limited(retry_after: str) -> Behaviour:
    """Refuse because there were too many requests; `retry_after` is the header as it stands."""
    return fault(429, "Rate limit reached for requests", "rate_limit_exceeded", {"Retry-After": retry_after})


def failing(status: int = 500) -> Behaviour:
    """Fail on the server's own account."""
    return fault(status, "The server had an error while processing your request. Sorry about that!")


def context_too_long() -> Behaviour:
    """Refuse because of the prompt's length."""
    words = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    return fault(400, words, "context_length_exceeded")


def unauthorised() -> Behaviour:
    """Refuse the key, and quote it in part."""
    return fault(401, "Incorrect API key provided: sk-pl***********ey.", "invalid_api_key")


def refuse_parameter(name: str) -> Behaviour:
    """Refuse as a model does that does not take this parameter."""
    words, code = {
        "max_tokens": (
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
        ),
        "temperature": (
            "Unsupported value: 'temperature' does not support 0.7 with this model. "
            "Only the default (1) value is supported.",
            "unsupported_value",
        ),
    }.get(name, (f"Unrecognized request argument supplied: {name}", None))

    async def behave(_call: Call) -> web.StreamResponse:
        return failure(400, words, code=code, parameter=name)

    return behave


def malformed() -> Behaviour:
    """Stream something that is no JSON."""
    return raw([b'data: {"choices": [{"delta": {"content": "He\n\n'])


def error_in_stream(pieces: Sequence[str], error: Mapping[str, object]) -> Behaviour:
    """Send these pieces, then an error object instead of the rest, under the status 200 that is long gone."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.open()
        for piece in pieces:
            await call.say(piece)
        await call.send({"error": error})
        await call.response.write_eof()
        return call.response

    return behave
