"""This module is a loopback Telegram: the part of the Bot API that a bot needs, as strict as the real one.

It lives on while the bot is killed and started again: what was not confirmed comes again, and the screen stays as it
was. Each call takes the next behaviour that the test has enqueued for its method (`telegram_behaviours`); where there
is none, it has its effect and is answered. Descriptions of errors are word for word those of the real server; what the
API's description does not allow is refused, and kept in `refusals`. Run by hand, it is a chat without Telegram:

    python tests/platforms/telegram_server.py --port 8081
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from tests.platforms.botapi.answers import Outside, Params, Refused
from tests.platforms.botapi.chats import BOT, Chats
from tests.platforms.botapi.description import NotDescribed, check_result, method_name, read_params
from tests.platforms.botapi.history import Action, Effect, History, Shown, styles, texts
from tests.platforms.botapi.limits import Governor, Limits, Violation
from tests.platforms.botapi.media import Document, Files, Location, Photo, Sound, Sticker
from tests.platforms.botapi.methods import MESSAGES, Methods, check_understood
from tests.platforms.botapi.people import People
from tests.platforms.botapi.texts import MOST_UNITS
from tests.platforms.botapi.updates import UpdateQueue

__all__ = [
    "BOT",
    "CONFIRM",
    "DOWNLOAD",
    "MOST_UNITS",
    "TOKEN",
    "Action",
    "Behaviour",
    "Call",
    "Document",
    "Effect",
    "Limits",
    "Location",
    "Outside",
    "Params",
    "Photo",
    "Refused",
    "Shown",
    "Sound",
    "Sticker",
    "TelegramServer",
    "Violation",
    "styles",
    "texts",
]

TOKEN: Final = "100:planted-bot-token"

CONFIRM: Final = "confirm"
"""Names, for `enqueue`, a call of getUpdates whose offset confirms an update that was not confirmed before."""
DOWNLOAD: Final = "download"
"""Names, for `enqueue`, the download of a file."""


class Call:
    """One call of the API."""

    def __init__(self, server: TelegramServer, request: web.Request, method: str, params: Params) -> None:
        """Answer `request` on behalf of `server`."""
        self.server = server
        self.method = method
        self.params = params
        self._request = request

    async def answer(self) -> web.Response:
        """Let the call have its effect, and return what the server says about it."""
        try:
            if self.method == DOWNLOAD:
                return self._download()
            result = await self.server.perform(self.method, self.params)
        except Outside as outside:
            self.server.refusals.append(f"{self.method}: {outside.description}")
            return outside.response()
        except Refused as refused:
            return refused.response()
        return web.json_response({"ok": True, "result": result})

    def drop(self) -> None:
        """Break the connection where it is."""
        if self._request.transport is not None:
            self._request.transport.close()

    def _download(self) -> web.Response:
        file = self.server.files.at(self.params["path"])
        if file is None:
            raise Refused(404, "Not Found")
        return web.Response(body=file.content, content_type="application/octet-stream")


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


class TelegramServer:
    """The server, running for as long as its block lasts."""

    def __init__(self, port: int = 0) -> None:
        """Listen on `port` (0: any free one), for the one bot that has `TOKEN`."""
        self.base_url = ""
        self.calls: list[tuple[str, Params]] = []
        self.refusals: list[str] = []
        """Everything that was refused for being outside the API's description, and what this server said wrongly."""
        self.confirmations = 0
        """How many calls of getUpdates confirmed something."""
        self.changed = asyncio.Event()
        """Set at each call, and at each answer; who waits on it clears it."""
        self.held = asyncio.Event()
        """Set while an answer is held back after the call's effect."""
        self.released = asyncio.Event()
        self.closing = asyncio.Event()
        """Set when the server ends."""
        self.governor: Governor | None = None
        self.usual: Callable[[str], Behaviour | None] = lambda name: None
        """What a call does for which nothing is enqueued, by its method; None is the ordinary behaviour."""
        self._script: dict[str, deque[Behaviour | None]] = defaultdict(deque)
        self._build_parts()
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.router.add_get("/file/bot{token}/{path:.+}", self._handle_download)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        self._port = port

    def _build_parts(self) -> None:
        self.chats = Chats()
        self.files = Files()
        self.updates = UpdateQueue()
        self.history = History(self.chats)
        self.people = People(self.chats, self.history, self.updates, self.files)
        self.methods = Methods(self.chats, self.history, self.updates, self.files, self.people)
        self.messages, self.effects = self.history.messages, self.history.effects
        self.actions, self.screen = self.history.actions, self.history.screen
        self.name_person, self.open_chat = self.chats.name_person, self.chats.open_chat
        self.post, self.post_edit = self.people.post, self.people.post_edit
        self.post_album, self.post_paste = self.people.post_album, self.people.post_paste
        self.open_topic, self.migrate = self.people.open_topic, self.people.migrate
        self.block, self.unblock = self.people.block, self.people.unblock
        self.push, self.push_raw, self.confirm = self.updates.push, self.updates.push_raw, self.updates.confirm

    async def __aenter__(self) -> TelegramServer:
        """Start to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End what still hangs, and close every connection."""
        self.closing.set()
        self.released.set()
        self.updates.end_poll()
        await self._runner.cleanup()

    def enqueue(self, method: str, *behaviours: Behaviour | None) -> None:
        """Answer the next calls of a method so, one behaviour each; None is the ordinary one."""
        self._script[method].extend(behaviours)

    def has_script(self, method: str) -> bool:
        """Tell whether a behaviour waits for a call of this method."""
        return bool(self._script[method])

    def forget_script(self) -> None:
        """Answer as usual from here on."""
        self._script.clear()

    @property
    def unconfirmed(self) -> list[int]:
        """Return the ids of the updates that come again."""
        return self.updates.unconfirmed

    @property
    def limits(self) -> Limits | None:
        """The rates that the bot is held to; None, and at first, it may send as it likes."""
        return self.governor.limits if self.governor else None

    @limits.setter
    def limits(self, limits: Limits | None) -> None:
        self.governor = Governor(limits) if limits else None

    @property
    def violations(self) -> list[Violation]:
        """Return the calls that did not wait as long as they had been told."""
        return self.governor.violations if self.governor else []

    async def perform(self, method: str, params: Params) -> object:
        """Let a call have its effect; raises Refused."""
        check_understood(method, params)
        if self.governor and method in MESSAGES:
            self.governor.admit(str(params.get("chat_id")))
        result = await self.methods.perform(method, params)
        if method != "getUpdates":
            try:
                check_result(method, result)
            except NotDescribed as fault:
                self.refusals.append(f"result of {method}: {fault}")
                raise
        return result

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        sent: Mapping[str, Any] = {}
        name = request.match_info["method"]
        try:
            _check_token(request)
            sent = await _read_sent(request)
            name = method_name(name)
            params = read_params(name, sent)
        except Outside as outside:
            self._note(name, sent)
            self.refusals.append(f"{name}: {outside.description}")
            return outside.response()
        except Refused as refused:
            return refused.response()
        self._note(name, params)
        return await self._behave(Call(self, request, name, params))

    async def _handle_download(self, request: web.Request) -> web.StreamResponse:
        try:
            _check_token(request)
        except Refused as refused:
            return refused.response()
        params = {"path": request.match_info["path"]}
        self._note(DOWNLOAD, params)
        return await self._behave(Call(self, request, DOWNLOAD, params))

    def _note(self, name: str, params: Params) -> None:
        self.calls.append((name, params))
        self.changed.set()

    async def _behave(self, call: Call) -> web.StreamResponse:
        name = call.method
        if name == "getUpdates" and self.updates.confirms(call.params.get("offset", 0)):
            self.confirmations += 1
            name = CONFIRM
        behave = self._script[name].popleft() if self._script[name] else self.usual(name)
        try:
            return await call.answer() if behave is None else await behave(call)
        finally:
            self.changed.set()


def _check_token(request: web.Request) -> None:
    token = request.match_info["token"]
    if token != TOKEN:
        is_one = token.partition(":")[0].isdigit() and ":" in token
        raise Refused(401, "Unauthorized" if is_one else "Unauthorized: invalid token specified")


async def _read_sent(request: web.Request) -> Mapping[str, Any]:
    """Return the parameters, however the client sends them: in the query, as a form, or as JSON."""
    sent: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json" and request.can_read_body:
        try:
            body = json.loads(await request.read())
        except ValueError as fault:
            raise Outside(400, f"Bad Request: can't parse object: {fault}") from fault
        if not isinstance(body, dict):
            raise Outside(400, "Bad Request: JSON object expected")
        return sent | body
    return sent | dict(await request.post())


def main() -> None:
    """Run by hand."""
    from tests.platforms.botapi.console import main as chat

    chat()


if __name__ == "__main__":
    main()
