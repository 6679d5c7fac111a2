"""This module is a loopback Discord: the part of its API and gateway that a bot needs, as strict as the real one.

It lives on while the bot is killed and started again: the screen stays as it was, and what was written meanwhile stands
in the history; only a bot that resumes its session hears of what it missed. Each call takes the next behaviour that the
test has enqueued for its route (`discord_behaviours`); where there is none, it has its effect and is answered. What the
API's description does not allow is refused, and kept in `refusals`. Run by hand, it is a chat without Discord:

    python tests/platforms/discord_server.py --port 3100
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import web

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from tests.platforms.discordapi import routes
from tests.platforms.discordapi.answers import Outside, Refused, answer, outside, unauthorized
from tests.platforms.discordapi.description import NotDescribed, check
from tests.platforms.discordapi.files import PICTURE, Attachment, Files
from tests.platforms.discordapi.gateway import Gateway
from tests.platforms.discordapi.history import Action, Effect, History, Shown, texts
from tests.platforms.discordapi.intents import MESSAGE_CONTENT
from tests.platforms.discordapi.interactions import Interaction, Interactions
from tests.platforms.discordapi.limits import Governor, Limits, Violation
from tests.platforms.discordapi.methods import Methods
from tests.platforms.discordapi.news import News
from tests.platforms.discordapi.people import People
from tests.platforms.discordapi.places import ADA, ADA_DM, BOB, BOB_DM, BOT, Places, dm_of
from tests.platforms.discordapi.routes import (
    BASE,
    CALLBACK,
    CHANNEL,
    COMMANDS,
    CONNECT,
    DELETE,
    DOWNLOAD,
    EDIT,
    FETCH,
    HISTORY,
    ME,
    ROUTES,
    SEND,
    SET_COMMANDS,
    TYPING,
)
from tests.platforms.discordapi.snowflakes import Snowflakes, seconds_of
from tests.platforms.discordapi.writing import MOST_CHARACTERS

__all__ = [
    "ADA",
    "ADA_DM",
    "BOB",
    "BOB_DM",
    "BOT",
    "CALLBACK",
    "CHANNEL",
    "COMMANDS",
    "CONNECT",
    "DELETE",
    "DOWNLOAD",
    "EDIT",
    "FETCH",
    "HISTORY",
    "ME",
    "MESSAGE_CONTENT",
    "MOST_CHARACTERS",
    "PICTURE",
    "SEND",
    "SET_COMMANDS",
    "TOKEN",
    "TYPING",
    "Action",
    "Attachment",
    "Behaviour",
    "Call",
    "Called",
    "DiscordServer",
    "Effect",
    "Interaction",
    "Limits",
    "Shown",
    "Violation",
    "dm_of",
    "seconds_of",
    "texts",
]

TOKEN: Final = "OTAwMDAwMDAwMDAwMDAwMTAw.planted.bot-token"


class Called(NamedTuple):
    """What was called."""

    method: str
    """Empty for what is no route of the API: `CONNECT` and `DOWNLOAD`."""
    route: str
    """The template, as in `SEND`."""
    params: Mapping[str, str]
    """What stands in the address: the template's parts and the query."""
    body: Any = None

    @property
    def name(self) -> str:
        """The name, as in `SEND`."""
        return f"{self.method} {self.route}".strip()


class Call:
    """One call of the API."""

    def __init__(self, server: DiscordServer, request: web.Request, called: Called) -> None:
        """Answer `request` on behalf of `server`."""
        self.server = server
        self.called = called
        self._request = request

    @property
    def major(self) -> str:
        """The channel that the call is about, by which calls are counted."""
        return self.called.params.get("channel_id", "")

    async def answer(self) -> web.StreamResponse:
        """Let the call have its effect, and return what the server says about it."""
        if self.called.name == CONNECT:
            return await self.server.gateway.serve(self._request)
        if self.called.name == DOWNLOAD:
            return self._download()
        headers: Mapping[str, str] = {}
        try:
            headers = self.server.admit(self)
            result = self.server.perform(self.called)
        except Refused as refused:
            self.server.note_refusal(self.called.name, refused)
            return refused.response(headers)
        return answer(204 if result is None else 200, result, headers)

    def drop(self) -> None:
        """Break the connection where it is."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def _download(self) -> web.Response:
        params = self.called.params
        found = self.server.files.find(params["path"], params.get("hm", ""))
        if found is None:
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=found.content, content_type="application/octet-stream")


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


class DiscordServer:
    """The server, running for as long as its block lasts."""

    def __init__(self, port: int = 0) -> None:
        """Listen on `port` (0: any free one), for the one bot that has `TOKEN`."""
        self.base_url = self.gateway_url = ""
        self.calls: list[Called] = []
        self.refusals: list[str] = []
        """Everything that was refused for being outside the API's description, and what this server said wrongly."""
        self.is_revoked = False
        """Set when the token is no longer good."""
        self.changed = asyncio.Event()
        """Set at each call, each answer, and everything that the gateway hears; who waits on it clears it."""
        self.held = asyncio.Event()
        """Set while an answer is held back after the call's effect."""
        self.released = asyncio.Event()
        self.closing = asyncio.Event()
        """Set when the server ends."""
        self.governor: Governor | None = None
        self.usual: Callable[[str], Behaviour | None] = lambda name: None
        """What a call does for which nothing is enqueued, by its route; None is the ordinary behaviour."""
        self._script: dict[str, deque[Behaviour | None]] = defaultdict(deque)
        self._build_parts()
        app = web.Application()
        for name in ROUTES:
            method, template = name.split(" ")
            app.router.add_route(method, BASE + template, self._handle(name))
        app.router.add_get("/gateway", self._connect)
        app.router.add_get("/gateway/resume", self._connect)
        app.router.add_get("/attachments/{path:.+}", self._handle_download)
        app.router.add_route("*", "/{path:.*}", self._handle_unknown)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        self._port = port
        self._listener: asyncio.Server | None = None

    def _build_parts(self) -> None:
        snowflakes = Snowflakes()
        self.places = Places(snowflakes)
        self.files = Files(snowflakes)
        self.history = History(self.places, self.files)
        self.gateway = Gateway(self._is_token, self.refusals.append, self.changed.set)
        news = News(self.places, self.history, self.gateway)
        self.gateway.greet = news.greet
        self.people = People(self.places, self.history, self.files, news, snowflakes)
        self.methods = Methods(self.places, self.history, news, self.gateway, snowflakes)
        self.slash = Interactions(self.places, self.history, news, self.gateway, snowflakes)
        self.interactions, self.interact, self.commands = self.slash.all, self.slash.interact, self.slash.commands
        self.messages, self.effects = self.history.messages, self.history.effects
        self.actions, self.screen = self.history.actions, self.history.screen
        self.name_person, self.open_dm = self.places.name_person, self.places.open_dm
        self.post, self.post_edit, self.post_delete = self.people.post, self.people.post_edit, self.people.post_delete
        self.open_guild, self.open_channel = self.people.open_guild, self.people.open_channel
        self.open_thread, self.archive = self.people.open_thread, self.people.archive
        self.post_embeds, self.post_purge = self.people.post_embeds, self.people.post_purge
        self.restrict, self.close_channel = self.people.restrict, self.people.close_channel
        self.block, self.unblock = self.people.block, self.people.unblock

    async def __aenter__(self) -> DiscordServer:
        """Start to listen."""
        await self._runner.setup()
        await self.take_connections()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End what still hangs, and close every connection."""
        self.closing.set()
        self.released.set()
        await self.refuse_connections()
        await self._runner.cleanup()

    async def take_connections(self) -> None:
        """Listen, always on the same port."""
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._runner.server, "127.0.0.1", self._port, reuse_address=True)
        self._port = self._listener.sockets[0].getsockname()[1]
        self.files.root = f"http://127.0.0.1:{self._port}"
        self.base_url = self.files.root + BASE
        self.gateway_url = self.gateway.url = f"ws://127.0.0.1:{self._port}/gateway"

    async def refuse_connections(self) -> None:
        """Break every connection, and let nobody connect from here on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.drop()

    @asynccontextmanager
    async def unreachable(self) -> AsyncIterator[None]:
        """Be away for as long as the block lasts, as when the network is lost."""
        await self.refuse_connections()
        try:
            yield
        finally:
            await self.take_connections()

    def drop(self) -> None:
        """Break every connection where it is: the gateway's and the API's."""
        assert self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    def enqueue(self, route: str, *behaviours: Behaviour | None) -> None:
        """Answer the next calls of a route so, one behaviour each; None is the ordinary one."""
        self._script[route].extend(behaviours)

    def has_script(self, route: str) -> bool:
        """Tell whether a behaviour waits for a call of this route."""
        return bool(self._script[route])

    def called(self, name: str) -> list[Called]:
        """Return the calls of a route so far."""
        return [called for called in self.calls if called.name == name]

    def forget_script(self) -> None:
        """Answer as usual from here on."""
        self._script.clear()

    @property
    def limits(self) -> Limits | None:
        """The rates that the bot is held to; None, and at first, it may call as it likes and is told of no rate."""
        return self.governor.limits if self.governor else None

    @limits.setter
    def limits(self, limits: Limits | None) -> None:
        self.governor = Governor(limits) if limits else None

    @property
    def violations(self) -> list[Violation]:
        """Return the calls that did not wait as long as they had been told."""
        return self.governor.violations if self.governor else []

    def admit(self, call: Call) -> Mapping[str, str]:
        """Let a call pass, and return the headers about its rate; raises Refused."""
        if self.governor is None or ROUTES[call.called.name].is_open:
            return {}
        return self.governor.admit(call.called.name, call.major)

    def perform(self, called: Called) -> Any:
        """Let a call have its effect, and return the body of its answer; raises Refused."""
        room = self.methods if self.methods.has(called.name) else self.slash
        result = room.perform(called.name, called.params, called.body)
        if result is not None:
            try:
                check(ROUTES[called.name].gives, result, f"answer to {called.name}")
            except NotDescribed as fault:
                self.refusals.append(str(fault))
                raise
        return result

    def note_refusal(self, route: str, refused: Refused) -> None:
        """Keep what was refused for being outside the description."""
        if isinstance(refused, Outside):
            self.refusals.append(f"{route}: {refused.sentence}")

    def _is_token(self, token: str) -> bool:
        if token != TOKEN:
            self.refusals.append("a token that is not the bot's")
        return token == TOKEN and not self.is_revoked

    def _handle(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        method, template = name.split(" ")

        async def handle(request: web.Request) -> web.StreamResponse:
            called = Called(method, template, {**request.match_info, **request.query})
            try:
                if not ROUTES[name].is_open:
                    self._check_token(request)
                routes.check_query(name, request.query)
                called = called._replace(body=await routes.read_body(name, request))
            except Refused as refused:
                return self._refuse(called, refused)
            return await self._behave(request, called)

        return handle

    def _refuse(self, called: Called, refused: Refused) -> web.Response:
        self.calls.append(called)
        self.note_refusal(called.name, refused)
        self.changed.set()
        return refused.response()

    def _check_token(self, request: web.Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bot" or not self._is_token(token):
            raise unauthorized()

    async def _handle_unknown(self, request: web.Request) -> web.StreamResponse:
        called = Called(request.method, request.path.removeprefix(BASE), dict(request.query))
        return self._refuse(called, outside(404, "404: Not Found", "the tests' Discord has no such route"))

    async def _handle_download(self, request: web.Request) -> web.StreamResponse:
        return await self._behave(request, Called("", DOWNLOAD, {**request.match_info, **request.query}))

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        asked = (query.pop("v", None), query.pop("encoding", None), query.pop("compress", "zlib-stream"))
        if asked != ("10", "json", "zlib-stream") or query:
            self.refusals.append(f"{CONNECT}: asked for {request.query_string}")
            return web.Response(status=400)
        return await self._behave(request, Called("", CONNECT, dict(request.query)))

    async def _behave(self, request: web.Request, called: Called) -> web.StreamResponse:
        self.calls.append(called)
        self.changed.set()
        call = Call(self, request, called)
        script = self._script[called.name]
        behave = script.popleft() if script else self.usual(called.name)
        try:
            return await call.answer() if behave is None else await behave(call)
        finally:
            self.changed.set()


def main() -> None:
    """Run by hand."""
    from tests.platforms.discordapi.console import main as chat

    chat()


if __name__ == "__main__":
    main()
