"""This module defines what the loopback Discord can do instead of answering at once (`DiscordServer.enqueue`)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.platforms.discord_server import Behaviour, Call
from tests.platforms.discordapi import answers
from tests.platforms.discordapi.answers import Refused
from tests.platforms.discordapi.limits import too_many


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


def failing(status: int = 502) -> Behaviour:
    """Fail on the server's own account."""
    return raw(b'{"message": "502: Bad Gateway", "code": 0}', status)


def html(status: int = 502) -> Behaviour:
    """Fail with a web page, like a proxy in front of the server."""
    return raw(b"<html><head><title>502 Bad Gateway</title></head></html>", status, "text/html")


def elsewhere(status: int = 403) -> Behaviour:
    """Refuse in JSON that is none of Discord's, like a gateway in front of the server."""
    return raw(b'{"message": "Forbidden"}', status)


def malformed(status: int = 200) -> Behaviour:
    """Answer with half a document, with nothing done."""
    return raw(b'{"id":"1', status)


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Behaviour:
    """Answer with these bytes, with nothing done."""

    async def behave(_call: Call) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": content_type})

    return behave


def too_many_requests(retry_after: float, *, is_global: bool = False) -> Behaviour:
    """Refuse because there were too many; where the bot is held to rates, it is a violation to come back earlier."""

    async def behave(call: Call) -> web.StreamResponse:
        if call.server.governor:
            scope = "all" if is_global else f"{call.called.name} {call.major}".strip()
            call.server.governor.close(scope, retry_after)
        return too_many(retry_after, is_global=is_global).response()

    return behave


def banned() -> Behaviour:
    """Refuse as the proxy before Discord does after too many invalid calls: without saying until when."""
    return raw(b"error code: 1015", 429, "text/plain")


def unauthorized() -> Behaviour:
    """Refuse the token, as when it has been revoked."""

    async def behave(_call: Call) -> web.StreamResponse:
        return answers.unauthorized().response()

    return behave


def refusing(status: int, code: int, message: str) -> Behaviour:
    """Refuse with this status, Discord's own code, and these words."""

    async def behave(_call: Call) -> web.StreamResponse:
        return Refused(status, code, message).response()

    return behave
