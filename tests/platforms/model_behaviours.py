"""This module defines what a model server of any protocol can do instead of answering, for its `enqueue`.

Nothing here waits for a time: a test releases the pieces of a slow reply, and ends what hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from aiohttp import web

from tests.platforms.model_server import AnyBehaviour, ModelCall


def whole(text: str) -> AnyBehaviour:
    """Answer with one JSON document, like a server that cannot stream."""

    async def behave(call: ModelCall) -> web.StreamResponse:
        return call.whole(text)

    return behave


def slow(pieces: Sequence[str], gate: asyncio.Event) -> AnyBehaviour:
    """Send the first piece at once, then one each time that the test sets the gate, which is cleared again."""

    async def behave(call: ModelCall) -> web.StreamResponse:
        await call.open()
        for number, piece in enumerate(pieces):
            if number:
                await gate.wait()
                gate.clear()
            await call.say(piece)
        return await call.finish()

    return behave


def cut(pieces: Sequence[str], *, abruptly: bool = True) -> AnyBehaviour:
    """Send these pieces and no finish reason, then drop the connection, or else end the stream in good order."""

    async def behave(call: ModelCall) -> web.StreamResponse:
        await call.open()
        for piece in pieces:
            await call.say(piece)
        if abruptly:
            call.drop()
        else:
            await call.response.write_eof()
        return call.response

    return behave


def hang() -> AnyBehaviour:
    """Accept the request, and say nothing until the test ends."""

    async def behave(call: ModelCall) -> web.StreamResponse:
        await call.server.closing.wait()
        return call.server.refusal(503, "closing")

    return behave


def raw(
    chunks: Iterable[bytes],
    content_type: str = "text/event-stream",
    headers: Mapping[str, str] | None = None,
    *,
    then: Literal["end", "break", "hang"] = "end",
) -> AnyBehaviour:
    """Send these bytes with status 200, one write each, for as long as there are any."""

    async def behave(call: ModelCall) -> web.StreamResponse:
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


def html() -> AnyBehaviour:
    """Answer with a web page, like a proxy that is in the way."""
    return raw([b"<!doctype html><title>Sign in</title>"], content_type="text/html")
