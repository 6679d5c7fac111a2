"""This module defines what the loopback Slack can do instead of answering at once (`SlackServer.enqueue`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.platforms.slack_server import Behaviour, Call, Refused
from tests.platforms.slackapi.answers import too_many


def hold_after_effect() -> Behaviour:
    """Do it, set `held`, and say so only when the test sets `released`: until then only the server knows."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.answer()
        call.server.held.set()
        call.server.changed.set()
        await call.server.released.wait()
        return response

    return behave


def hang() -> Behaviour:
    """Do nothing, and say nothing for as long as the server runs."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.server.closing.wait()
        return web.Response(status=503)

    return behave


def slow(gate: asyncio.Event) -> Behaviour:
    """Do it when the test sets the gate."""

    async def behave(call: Call) -> web.StreamResponse:
        await gate.wait()
        return await call.answer()

    return behave


def delayed(seconds: float) -> Behaviour:
    """Do it at once, and take a time to say so, as a network does."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.answer()
        await asyncio.sleep(seconds)
        return response

    return behave


def drop_before_effect() -> Behaviour:
    """Break the connection, with nothing done."""

    async def behave(call: Call) -> web.StreamResponse:
        call.drop()
        return web.Response()

    return behave


def drop_after_effect() -> Behaviour:
    """Do it, and break the connection instead of saying so."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.answer()
        call.drop()
        return response

    return behave


def failing(status: int = 503) -> Behaviour:
    """Fail on the server's own account."""
    return raw(b'{"ok":false,"error":"service_unavailable"}', status)


def html(status: int = 502) -> Behaviour:
    """Fail with a web page, like a proxy in front of the server."""
    return raw(b"<html><head><title>502 Bad Gateway</title></head></html>", status, "text/html")


def malformed(status: int = 200) -> Behaviour:
    """Answer with half a document, with nothing done."""
    return raw(b'{"ok":true,"channel":"D0AD', status)


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Behaviour:
    """Answer with these bytes, with nothing done."""

    async def behave(_call: Call) -> web.StreamResponse:
        return web.Response(body=body, status=status, content_type=content_type)

    return behave


def too_many_requests(retry_after: int) -> Behaviour:
    """Refuse because there were too many; where the app is held to rates, it is a violation to come back earlier."""

    async def behave(call: Call) -> web.StreamResponse:
        if call.server.governor is not None:
            return call.server.governor.close(call.method, call.params, retry_after).response()
        return too_many(retry_after).response()

    return behave


def unauthorized(error: str = "invalid_auth") -> Behaviour:
    """Refuse the token, as when it has been revoked."""
    return refusing(error)


def refusing(error: str, more: Mapping[str, Any] | None = None) -> Behaviour:
    """Refuse with this word, and what else stands in the body."""

    async def behave(_call: Call) -> web.StreamResponse:
        return Refused(error, more).response()

    return behave
