"""This module defines what the loopback Anthropic server can do instead of answering (`AnthropicServer.enqueue`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from tests.platforms.anthropic_server import Behaviour, Call, error, failure
from tests.platforms.model_behaviours import raw
from tests.platforms.model_server import AnyBehaviour


def fault(status: int, message: str, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Refuse with this status and these words."""

    async def behave(_call: Call) -> web.StreamResponse:
        return failure(status, message, headers)

    return behave


def rate_limited(retry_after: str) -> Behaviour:
    """Refuse because there were too many requests; `retry_after` is the header as it stands."""
    words = "This request would exceed the rate limit for your organization of 50 requests per minute."
    return fault(429, words, {"Retry-After": retry_after})


def overloaded() -> Behaviour:
    """Refuse because too many others ask."""
    return fault(529, "Overloaded")


def failing(status: int = 500) -> Behaviour:
    """Fail on the server's own account."""
    return fault(status, "Internal server error")


def context_too_long() -> Behaviour:
    """Refuse because of the prompt's length."""
    return fault(400, "prompt is too long: 208310 tokens > 200000 maximum")


def unauthorised() -> Behaviour:
    """Refuse the key."""
    return fault(401, "invalid x-api-key")


def no_credit() -> Behaviour:
    """Refuse because the account is empty, under a status that does not say so."""
    words = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."
    return fault(400, words)


def refuse_parameter(name: str) -> Behaviour:
    """Refuse as a model does that does not take this parameter, or an imitation that does not know it."""
    words = {
        "temperature": "`temperature` is deprecated for this model.",
        "cache_control": "system.0.cache_control: Extra inputs are not permitted",
    }
    return fault(400, words[name])


def malformed() -> AnyBehaviour:
    """Stream something that is no JSON."""
    return raw([b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"te\n\n'])


def error_in_stream(pieces: Sequence[str], status: int, message: str) -> Behaviour:
    """Send these pieces, then an error instead of the rest, under the status 200 that is long gone."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.open()
        for piece in pieces:
            await call.say(piece)
        await call.send(error(status, message))
        await call.response.write_eof()
        return call.response

    return behave


def thoughtful(thought: str, text: str) -> Behaviour:
    """Think in a block of its own before the reply."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.begin()
        await call.send({"type": "message_start", "message": {"model": call.asked.body.model}})
        thinking = {"type": "thinking", "thinking": "", "signature": ""}
        await call.send({"type": "content_block_start", "index": 0, "content_block": thinking})
        delta = {"type": "thinking_delta", "thinking": thought}
        await call.send({"type": "content_block_delta", "index": 0, "delta": delta})
        signature = {"type": "signature_delta", "signature": "c2ln"}
        await call.send({"type": "content_block_delta", "index": 0, "delta": signature})
        await call.send({"type": "content_block_stop", "index": 0})
        await call.send({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}})
        await call.say(text)
        return await call.finish()

    return behave
