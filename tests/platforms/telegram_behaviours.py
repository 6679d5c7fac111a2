"""What a Telegram server can do instead of answering at once: for `TelegramServer.enqueue`."""

from __future__ import annotations

from aiohttp import web

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


def too_many_requests(retry_after: int) -> Behaviour:
    """Refuse because there were too many."""
    return refusing(429, f"Too Many Requests: retry after {retry_after}", retry_after)


def refusing(status: int, description: str, retry_after: int | None = None) -> Behaviour:
    """Refuse with this code and these words."""

    async def behave(_call: Call) -> web.StreamResponse:
        return Refused(status, description, retry_after).response()

    return behave
