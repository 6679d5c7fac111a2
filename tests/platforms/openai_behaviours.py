"""What a model server can do instead of answering: for `OpenAIServer.enqueue`.

Nothing here waits for a time: a test releases the pieces of a slow reply, and ends what hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from aiohttp import web

from tests.platforms.openai_server import Behaviour, Call, failure


def whole(text: str) -> Behaviour:
    """Answer with one JSON document, like a server that cannot stream."""

    async def behave(call: Call) -> web.StreamResponse:
        return call.whole(text)

    return behave


def slow(pieces: Sequence[str], gate: asyncio.Event) -> Behaviour:
    """Send the first piece at once, then one each time that the test sets the gate, which is cleared again."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.open()
        for number, piece in enumerate(pieces):
            if number:
                await gate.wait()
                gate.clear()
            await call.say(piece)
        return await call.finish()

    return behave


def cut(pieces: Sequence[str], *, abruptly: bool = True) -> Behaviour:
    """Send these pieces and no finish reason, then drop the connection, or else end the stream in good order."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.open()
        for piece in pieces:
            await call.say(piece)
        if abruptly:
            call.drop()
        else:
            await call.response.write_eof()
        return call.response

    return behave


def hang() -> Behaviour:
    """Accept the request, and say nothing until the test ends."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.server.closing.wait()
        return failure(503, "closing")

    return behave


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


def raw(
    chunks: Iterable[bytes],
    content_type: str = "text/event-stream",
    headers: Mapping[str, str] | None = None,
    *,
    then: Literal["end", "break", "hang"] = "end",
) -> Behaviour:
    """Send these bytes with status 200, one write each, for as long as there are any."""

    async def behave(call: Call) -> web.StreamResponse:
        response = call.response
        response.content_type = content_type
        response.headers.update(headers or {})
        await response.prepare(call.request)
        for chunk in chunks:
            await response.write(chunk)
        if then == "hang":
            await call.server.closing.wait()
        elif then == "break":
            call.drop()
        else:
            await response.write_eof()
        return response

    return behave


def malformed() -> Behaviour:
    """Stream something that is no JSON."""
    return raw([b'data: {"choices": [{"delta": {"content": "He\n\n'])


def html() -> Behaviour:
    """Answer with a web page, like a proxy that is in the way."""
    return raw([b"<!doctype html><title>Sign in</title>"], content_type="text/html")


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
