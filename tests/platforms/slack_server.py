"""This module is a loopback Slack: the part of the Web API and Socket Mode that a bot needs, as strict as the real one.

It lives on while the bot is killed and started again: what was not acked comes again for a while, and the screen stays
as it was. Each call takes the next behaviour that the test has enqueued for its method (`slack_behaviours`); where
there is none, it has its effect and is answered. What the API's description does not allow is refused, and kept in
`refusals`. Run by hand, it is a chat without Slack:

    python tests/platforms/slack_server.py --port 4103
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

from tests.platforms.slackapi.answers import Outside, Params, Refused
from tests.platforms.slackapi.assistant import Assistant
from tests.platforms.slackapi.commands import Command, Commands
from tests.platforms.slackapi.deliveries import Deliveries, Delivery
from tests.platforms.slackapi.description import method_of, read_params
from tests.platforms.slackapi.files import LOGIN_PAGE, File, Files
from tests.platforms.slackapi.history import Effect, History, Shown, texts
from tests.platforms.slackapi.limits import Governor, Limits, Violation
from tests.platforms.slackapi.lines import Line, Lines
from tests.platforms.slackapi.methods import Methods, check_understood
from tests.platforms.slackapi.people import People
from tests.platforms.slackapi.tokens import APP_TOKEN, BOT_TOKEN, OPEN, Tokens, bearer, read_token
from tests.platforms.slackapi.workspace import ADA, APP, BOB, BOT, BOT_ID, DM, GENERAL, PRIVATE, TEAM, Workspace

__all__ = [
    "ADA",
    "ANSWER",
    "APP",
    "APP_TOKEN",
    "BOB",
    "BOT",
    "BOT_ID",
    "BOT_TOKEN",
    "DM",
    "DOWNLOAD",
    "GENERAL",
    "OPEN",
    "PRIVATE",
    "SOCKET",
    "TEAM",
    "Behaviour",
    "Call",
    "Command",
    "Delivery",
    "Effect",
    "File",
    "Limits",
    "Line",
    "Outside",
    "Params",
    "Refused",
    "Shown",
    "SlackServer",
    "Violation",
    "texts",
]

DOWNLOAD: Final = "download"
"""Names, for `enqueue`, the download of a file."""
SOCKET: Final = "socket"
"""Names, for `enqueue`, the opening of a WebSocket."""
ANSWER: Final = "response_url"
"""Names, for `enqueue`, an answer to a command by its `response_url`."""


class Call:
    """One call of the API."""

    def __init__(self, server: SlackServer, request: web.Request, method: str, params: Params) -> None:
        """Answer `request` on behalf of `server`."""
        self.server = server
        self.method = method
        self.params = params
        self.request = request

    async def answer(self) -> web.StreamResponse:
        """Let the call have its effect, and return what the server says about it."""
        if self.method == SOCKET:
            return await self.server.serve_socket(self.request, self.params["ticket"])
        if self.method == DOWNLOAD:
            return self._download()
        try:
            if self.method == ANSWER:
                return self._answer_command()
            result = self.server.perform(self.method, self.params)
        except Outside as outside:
            self.server.refuse(f"{self.method}: {outside.sentence}")
            return outside.response()
        except Refused as refused:
            return refused.response()
        scopes = ",".join(sorted(self.server.tokens.scopes))
        return web.json_response({"ok": True, **result}, headers={"X-OAuth-Scopes": scopes})

    def drop(self) -> None:
        """Break the connection where it is."""
        if self.request.transport is not None:
            self.request.transport.abort()

    def _download(self) -> web.Response:
        """Return a file, or to who has no right to it the page that asks to sign in."""
        if not self.server.tokens.may_download(bearer(self.request)):
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        file = self.server.files.content(self.params["file"])
        if file is None:
            return web.Response(status=404, text="<html>Not found</html>", content_type="text/html")
        return web.Response(body=file.content, content_type=file.mimetype)

    def _answer_command(self) -> web.Response:
        fault = self.server.commands.answer(self.params["number"], self.params["said"])
        return web.Response(text=fault or "ok", status=404 if fault else 200)


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SlackServer:
    """The server, running for as long as its block lasts."""

    def __init__(self, port: int = 0) -> None:
        """Listen on `port` (0: any free one), for the one app that has the tokens."""
        self.root_url = ""
        self.base_url = ""
        """What every method's address begins with."""
        self.calls: list[tuple[str, Params]] = []
        self.refusals: list[str] = []
        """Everything that was refused for being outside the API's description."""
        self.changed = asyncio.Event()
        """Set at each call, answer, envelope and ack; who waits on it clears it."""
        self.held = asyncio.Event()
        """Set while an answer is held back after the call's effect."""
        self.released = asyncio.Event()
        self.closing = asyncio.Event()
        """Set when the server ends."""
        self.governor: Governor | None = None
        self.usual: Callable[[str], Behaviour | None] = lambda name: None
        """What a call does for which nothing is enqueued, by its method; None is the ordinary behaviour."""
        self._script: dict[str, deque[Behaviour | None]] = defaultdict(deque)
        self._is_cut = False
        self._build_parts()
        app = web.Application(middlewares=[self._pass])
        app.router.add_route("*", "/api/{method}", self._handle)
        app.router.add_get("/link/{ticket}", self._handle_socket)
        app.router.add_post("/commands/{team}/{number}", self._handle_answer)
        app.router.add_get("/files-pri/{team_file}/download/{name}", self._handle_download)
        app.router.add_get("/files-pri/{team_file}/{name}", self._handle_download)
        app.router.add_route("*", "/{path:.*}", self._handle_stray)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        self._port = port

    def _build_parts(self) -> None:
        self.workspace = Workspace()
        self.files = Files()
        self.lines = Lines(self.changed)
        self.deliveries = Deliveries(self.lines, self.changed, self.refuse)
        self.history = History(self.workspace)
        self.people = People(self.workspace, self.history, self.deliveries, self.files)
        self.assistant = Assistant(self.workspace, self.history, self.people)
        self.commands = Commands(self.workspace, self.deliveries, self.refuse)
        self.methods = Methods(self.workspace, self.history, self.people, self.files, self.assistant)
        self.tokens = Tokens(self.workspace)
        self.command, self.open_assistant = self.commands.give, self.assistant.open_thread
        self.messages, self.effects = self.history.messages, self.history.effects
        self.pings, self.late_acks = self.methods.pings, self.deliveries.late_acks
        self.name_person, self.open_channel = self.workspace.name_person, self.workspace.open_channel
        self.dm_of, self.statuses = self.workspace.dm_of, self.history.statuses
        self.revoke, self.restore = self.tokens.revoke, self.tokens.restore
        self.post, self.mention, self.join = self.people.post, self.people.mention, self.people.join
        self.post_edit, self.post_delete = self.people.post_edit, self.people.post_delete
        self.post_as_bot, self.react, self.unfurl = self.people.post_as_bot, self.people.react, self.people.unfurl
        self.push, self.push_raw, self.rate_limit = self.people.push, self.people.push_raw, self.people.rate_limit
        self.disconnect, self.drop, self.deafen = self.lines.disconnect, self.lines.drop, self.lines.deafen

    async def __aenter__(self) -> SlackServer:
        """Start to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.root_url = self.files.base_url = self.commands.base_url = (
            f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        )
        self.base_url = f"{self.root_url}/api/"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End what still hangs, and close every connection."""
        self.closing.set()
        self.released.set()
        self.deliveries.stop()
        self.lines.stop()
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

    def screen(self, channel: str | None = DM, thread: str | None = None) -> list[Shown]:
        """Return what the bot's messages in a conversation or all (or in one thread) show now."""
        return self.history.screen(channel, thread)

    @property
    def unacked(self) -> list[Delivery]:
        """Return what is not acked, and is still waited for or comes again."""
        return self.deliveries.open

    @property
    def acked(self) -> list[Delivery]:
        """Return what is acked."""
        return [delivery for delivery in self.deliveries.all if delivery.state == "acked"]

    @property
    def given_up(self) -> list[Delivery]:
        """Return what does not come again though nobody has acked it: only the history has it."""
        return [delivery for delivery in self.deliveries.all if delivery.state == "given up"]

    @property
    def refuse_connections(self) -> bool:
        """Whether the network is gone: open connections break, and none opens."""
        return self._is_cut

    @refuse_connections.setter
    def refuse_connections(self, is_cut: bool) -> None:
        self._is_cut = is_cut
        if is_cut:
            self.lines.drop()

    def refuse(self, sentence: str) -> None:
        """Note what nobody should have done."""
        self.refusals.append(sentence)
        self.changed.set()

    @property
    def limits(self) -> Limits | None:
        """The rates that the app is held to; None, and at first, it may call as it likes."""
        return self.governor.limits if self.governor else None

    @limits.setter
    def limits(self, limits: Limits | None) -> None:
        self.governor = Governor(limits) if limits else None

    @property
    def violations(self) -> list[Violation]:
        """Return the calls that did not wait as long as they had been told."""
        return self.governor.violations if self.governor else []

    def perform(self, method: str, params: Params) -> dict[str, Any]:
        """Let a call have its effect; raises Refused."""
        self.tokens.check_scope(method, params)
        if self.governor:
            self.governor.admit(method, params)
        if method == OPEN:
            return {"url": f"{self.root_url.replace('http', 'ws', 1)}/link/{self.lines.issue_ticket()}"}
        check_understood(method, params)
        return self.methods.perform(method, params)

    async def serve_socket(self, request: web.Request, ticket: str) -> web.StreamResponse:
        """Open a line of Socket Mode for who has a ticket."""
        if not self.lines.use_ticket(ticket):
            return web.Response(status=403)
        return await self.lines.serve(request, self._take)

    def _take(self, text: str) -> None:
        """Take what the app says on a line: acks, and nothing else."""
        try:
            said = json.loads(text)
            envelope_id = said["envelope_id"]
        except (ValueError, TypeError, KeyError):
            self.refuse(f"socket: no ack: {text[:80]}")
            return
        if strange := sorted(said.keys() - {"envelope_id", "payload"}):
            self.refuse(f"socket: an ack has no {strange[0]}")
        self.deliveries.ack(envelope_id, said.get("payload"))

    @web.middleware
    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through while there is a network."""
        if self._is_cut and request.transport is not None:
            request.transport.abort()
            return web.Response()
        return await handler(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        sent: Mapping[str, Any] = {}
        try:
            sent = await _read_sent(request)
            method = method_of(name)
            self.tokens.check(name, read_token(request, sent))
            params = read_params(method, {key: value for key, value in sent.items() if key != "token"})
        except Outside as outside:
            self._note(name, sent)
            self.refuse(f"{name}: {outside.sentence}")
            return outside.response()
        except Refused as refused:
            self._note(name, sent)
            return refused.response()
        self._note(name, params)
        return await self._behave(Call(self, request, name, params))

    async def _handle_socket(self, request: web.Request) -> web.StreamResponse:
        params = {"ticket": request.match_info["ticket"]}
        self._note(SOCKET, params)
        return await self._behave(Call(self, request, SOCKET, params))

    async def _handle_download(self, request: web.Request) -> web.StreamResponse:
        file = request.match_info["team_file"].rpartition("-")[2]
        self._note(DOWNLOAD, {"file": file})
        return await self._behave(Call(self, request, DOWNLOAD, {"file": file}))

    async def _handle_answer(self, request: web.Request) -> web.StreamResponse:
        params = {"number": int(request.match_info["number"]), "said": await request.text()}
        self._note(ANSWER, params)
        return await self._behave(Call(self, request, ANSWER, params))

    async def _handle_stray(self, request: web.Request) -> web.StreamResponse:
        self.refuse(f"there is nothing at {request.path}")
        return web.Response(status=404)

    def _note(self, name: str, params: Params) -> None:
        self.calls.append((name, params))
        self.changed.set()

    async def _behave(self, call: Call) -> web.StreamResponse:
        script = self._script[call.method]
        behave = script.popleft() if script else self.usual(call.method)
        try:
            return await call.answer() if behave is None else await behave(call)
        finally:
            self.changed.set()


async def _read_sent(request: web.Request) -> Mapping[str, Any]:
    """Return the arguments, however the client sends them: in the query, as a form, or as JSON."""
    sent: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json" and request.can_read_body:
        try:
            body = json.loads(await request.read())
        except ValueError as fault:
            raise Outside("invalid_json", f"the body is no JSON: {fault}") from fault
        if not isinstance(body, dict):
            raise Outside("json_not_object", "the body is no JSON object")
        return sent | body
    return sent | dict(await request.post())


def main() -> None:
    """Run by hand."""
    from tests.platforms.slackapi.console import main as chat

    chat()


if __name__ == "__main__":
    main()
