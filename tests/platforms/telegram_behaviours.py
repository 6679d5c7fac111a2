"""This module defines what the loopback Telegram can do instead of answering at once (`TelegramServer.enqueue`)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.platforms.botapi.limits import too_many
from tests.platforms.telegram_server import Behaviour, Call, Refused


def hold_after_effect() -> Behaviour:
    """Do it, set `held`, and say so only when the test sets `released`: until then only the server knows."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.answer()
        call.server.held.set()
        call.server.changed.set()
        await call.server.released.wait()
        return response

    return behave


def hold_confirmation() -> Behaviour:
    """Confirm updates as `getUpdates` asks for, and then hold the answer back in the same way."""

    async def behave(call: Call) -> web.StreamResponse:
        call.server.confirm(int(call.params["offset"]))
        call.server.held.set()
        call.server.changed.set()
        await call.server.released.wait()
        return await call.answer()

    return behave


def hang() -> Behaviour:
    """Do nothing, and say nothing for as long as the server runs: a poller is stuck, say."""

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
    return refusing(status, "Bad Gateway")


def html(status: int = 502) -> Behaviour:
    """Fail with a web page, like a proxy in front of the server."""
    return raw(b"<html><head><title>502 Bad Gateway</title></head></html>", status, "text/html")


def malformed(status: int = 200) -> Behaviour:
    """Answer with half a document, with nothing done."""
    return raw(b'{"ok":true,"result":[{"upd', status)


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Behaviour:
    """Answer with these bytes, with nothing done."""

    async def behave(_call: Call) -> web.StreamResponse:
        return web.Response(body=body, status=status, content_type=content_type)

    return behave


def too_many_requests(retry_after: int) -> Behaviour:
    """Refuse because there were too many; where the bot is held to rates, it is a violation to come back earlier."""

    async def behave(call: Call) -> web.StreamResponse:
        if call.server.governor and "chat_id" in call.params:
            call.server.governor.close(str(call.params["chat_id"]), retry_after)
        return too_many(retry_after).response()

    return behave


def unauthorized() -> Behaviour:
    """Refuse the token, as when it has been revoked."""
    return refusing(401, "Unauthorized")


def cannot_parse_entities(where: int = 0) -> Behaviour:
    """Refuse the next text that has formatting, because of it; texts without any pass until then."""
    words = f"Can't find end of the entity starting at byte offset {where}"

    async def behave(call: Call) -> web.StreamResponse:
        if call.params.get("entities"):
            return Refused(400, f"Bad Request: can't parse entities: {words}").response()
        call.server.enqueue(call.method, behave)
        return await call.answer()

    return behave


def refusing(status: int, description: str, retry_after: int | None = None) -> Behaviour:
    """Refuse with this code and these words."""

    async def behave(_call: Call) -> web.StreamResponse:
        return Refused(status, description, retry_after).response()

    return behave
