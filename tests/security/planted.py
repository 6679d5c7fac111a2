"""This module plants secrets wherever one can be configured, and lists the places where none may come out."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from tests.platforms import discord_server, slack_server, telegram_server

PROVIDER, FALLBACK, BACKGROUND = (f"sk-planted-{name}-0123456789abcdef" for name in ("main", "fallback", "background"))
PASSWORD = "planted-database-password"

SECRETS = {
    "telegram": telegram_server.TOKEN,
    "discord": discord_server.TOKEN,
    "slack bot": slack_server.BOT_TOKEN,
    "slack app": slack_server.APP_TOKEN,
    "provider": PROVIDER,
    "fallback": FALLBACK,
    "background": BACKGROUND,
    "database": PASSWORD,
}


def spellings(secret: str) -> set[bytes]:
    """Return how a secret may look: as it is, without its public part, in an address, in base64, escaped in JSON."""
    own = secret.partition(":")[2] or secret
    plain = {secret, own, quote(secret, safe=""), quote(own, safe="")}
    return {text.encode() for text in plain} | {base64.b64encode(text.encode())[:-4] for text in (secret, own)}


def leaks(content: bytes) -> list[str]:
    """Return the names of the secrets that stand in these bytes, in any case of their letters."""
    lowered = content.lower()
    return [name for name, secret in SECRETS.items() if any(one.lower() in lowered for one in spellings(secret))]


def leaking_files(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the files below a folder that hold a secret, in their bytes or in their name."""
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if found := leaks(content + str(path.relative_to(folder)).encode()):
            yield str(path), found


@asynccontextmanager
async def echoing(statuses: Sequence[int]) -> AsyncIterator[tuple[str, list[str]]]:
    """Be a server that refuses everything and says back all that it was told, header by header, a new status each time.

    Yield its address, and the paths that it was asked for.
    """
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        said = f"{request.method} {request.url} {dict(request.headers)} {await request.text()}"
        status = statuses[len(asked) % len(statuses)]
        body = {
            "ok": False, "error_code": status, "description": said, "error": {"message": said, "type": said}, "code": 0,
            "message": said, "detail": said,
        }  # fmt: skip
        place = {"Location": f"http://127.0.0.1:9/{quote(said[:200])}"} if status == 302 else {}
        return web.json_response(body, status=status, headers=place)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()
