"""A Telegram on this machine: as much of the Bot API as a bot needs to hold a conversation, as strict as the real one.

It lives on while the bot is killed and started again: what was not confirmed comes again, and the screen stays as it
was. Each call takes the next behaviour that the test has enqueued for its method (`telegram_behaviours`); where there
is none, it has its effect and is answered. Descriptions of errors are word for word those of the real server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

TOKEN: Final = "100:planted-bot-token"
BOT: Final = {"id": 100, "is_bot": True, "first_name": "Agentd", "username": "agentd_bot"}
MOST_UNITS: Final = 4096
"""UTF-16 code units of one message (https://core.telegram.org/bots/api#sendmessage)."""

CONFIRM: Final = "confirm"
"""Names, for `enqueue`, a call of getUpdates whose offset confirms an update that was not confirmed before."""

Params = Mapping[str, Any]


@dataclass(slots=True)
class Shown:
    """One message of a chat: what a person's screen shows now, and what it has shown before."""

    message_id: int
    chat: int
    text: str
    from_bot: bool
    date: int
    past: list[str] = field(default_factory=list)
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that changed what people see, in its order."""

    at_seconds: float
    method: str
    message_id: int
    text: str


class Refused(Exception):
    """The server's answer is an error."""

    def __init__(self, status: int, description: str, retry_after: int | None = None) -> None:
        """Answer with this code and these words."""
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after

    def response(self) -> web.Response:
        """Return it as the Bot API writes errors."""
        body: dict[str, Any] = {"ok": False, "error_code": self.status, "description": self.description}
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        return web.json_response(body, status=self.status)


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
            result = await self.server.perform(self.method, self.params)
        except Refused as refused:
            return refused.response()
        return web.json_response({"ok": True, "result": result})

    def drop(self) -> None:
        """Break the connection where it is."""
        if self._request.transport is not None:
            self._request.transport.close()


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


class TelegramServer:
    """The server, running for as long as its block lasts."""

    def __init__(self, port: int = 0) -> None:
        """Listen on `port` (0: any free one), for the one bot that has `TOKEN`."""
        self.base_url = ""
        self.messages: dict[int, Shown] = {}
        self.effects: list[Effect] = []
        self.calls: list[tuple[str, Params]] = []
        self.confirmations = 0
        """How many calls of getUpdates confirmed something."""
        self.changed = asyncio.Event()
        """Set at each call, and at each answer; who waits on it clears it."""
        self.held = asyncio.Event()
        """Set while an answer is held back after the call's effect."""
        self.released = asyncio.Event()
        self._updates: list[dict[str, Any]] = []
        self._update_ids = itertools.count(500_001)
        self._message_ids = itertools.count(1)
        self._script: dict[str, deque[Behaviour | None]] = defaultdict(deque)
        self._arrived = asyncio.Event()
        self._poller: asyncio.Future[object] | None = None
        self._port = port
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> TelegramServer:
        """Start to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End what still hangs, and close every connection."""
        self.released.set()
        self._end_poll()
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

    def post(self, text: str, *, sender: int = 7, chat: int = 7, date: int | None = None) -> int:
        """Let a person write, and return the message's id; `date` is in Unix seconds."""
        shown = self._show(chat, text, from_bot=False, date=date)
        self._push({"message": self._as_message(shown, sender)})
        return shown.message_id

    def post_edit(self, message_id: int, text: str, *, sender: int = 7, date: int | None = None) -> None:
        """Let a person change what they wrote."""
        shown = self.messages[message_id]
        shown.past.append(shown.text)
        shown.text = text
        edit_date = int(time.time()) if date is None else date
        self._push({"edited_message": {**self._as_message(shown, sender), "edit_date": edit_date}})

    def screen(self, chat: int = 7) -> list[Shown]:
        """Return what the bot's messages show now, oldest first."""
        return [shown for shown in self.messages.values() if _is_on_screen(shown, chat) and shown.from_bot]

    @property
    def unconfirmed(self) -> list[int]:
        """Return the ids of the updates that come again."""
        return [update["update_id"] for update in self._updates]

    async def perform(self, method: str, params: Params) -> object:
        """Let a call have its effect; raises Refused."""
        match method:
            case "getMe":
                return {**BOT, "can_join_groups": True, "can_read_all_group_messages": False}
            case "getUpdates":
                return await self._get_updates(params)
            case "sendMessage":
                return self._send(params)
            case "editMessageText":
                return self._edit(params)
            case "deleteMessage":
                return self._delete(params)
            case _:
                raise Refused(404, "Not Found")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != TOKEN:
            return Refused(401, "Unauthorized").response()
        call = Call(self, request, request.match_info["method"], await _read_params(request))
        self.calls.append((call.method, call.params))
        self.changed.set()
        name = call.method
        if name == "getUpdates" and any(update < _whole(call.params, "offset", 0) for update in self.unconfirmed):
            self.confirmations += 1
            name = CONFIRM
        behave = self._script[name].popleft() if self._script[name] else None
        try:
            return await call.answer() if behave is None else await behave(call)
        finally:
            self.changed.set()

    async def _get_updates(self, params: Params) -> list[dict[str, Any]]:
        self.confirm(_whole(params, "offset", 0))
        self._end_poll()
        poller = self._poller = asyncio.get_running_loop().create_future()
        limit = min(max(_whole(params, "limit", 100), 1), 100)
        try:
            async with asyncio.timeout(min(_whole(params, "timeout", 0), 50)):
                while not self._updates:
                    self._arrived.clear()
                    await self._wait_for_update(poller)
        except TimeoutError:
            return []
        return self._updates[:limit]

    async def _wait_for_update(self, poller: asyncio.Future[object]) -> None:
        async with asyncio.TaskGroup() as tasks:
            arrived: asyncio.Task[object] = tasks.create_task(self._arrived.wait(), name="update")
            await asyncio.wait((arrived, poller), return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()
        if poller.done():
            words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
            raise Refused(409, words)

    def confirm(self, offset: int) -> None:
        """Forget the updates before this one; a negative offset keeps so many of the last."""
        if offset < 0:
            self._updates = self._updates[offset:]
        else:
            self._updates = [update for update in self._updates if update["update_id"] >= offset]

    def _end_poll(self) -> None:
        if self._poller is not None and not self._poller.done():
            self._poller.set_result(None)

    def _send(self, params: Params) -> dict[str, Any]:
        chat = _whole(params, "chat_id", 0)
        if not any(shown.chat == chat for shown in self.messages.values()):
            raise Refused(400, "Bad Request: chat not found")
        shown = self._show(chat, _text_of(params), from_bot=True)
        return self._as_message(shown, chat)

    def _edit(self, params: Params) -> dict[str, Any]:
        shown = self._find(params, "edit")
        if not shown.from_bot:
            raise Refused(400, "Bad Request: message can't be edited")
        text = _text_of(params)
        if text == shown.text:
            words = "specified new message content and reply markup are exactly the same as a current content"
            raise Refused(400, f"Bad Request: message is not modified: {words} and reply markup of the message")
        shown.past.append(shown.text)
        shown.text = text
        self._record("editMessageText", shown)
        return self._as_message(shown, shown.chat)

    def _delete(self, params: Params) -> bool:
        shown = self._find(params, "delete")
        shown.is_deleted = True
        self._record("deleteMessage", shown)
        return True

    def _find(self, params: Params, verb: str) -> Shown:
        shown = self.messages.get(_whole(params, "message_id", 0))
        if shown is None or not _is_on_screen(shown, _whole(params, "chat_id", 0)):
            raise Refused(400, f"Bad Request: message to {verb} not found")
        return shown

    def _show(self, chat: int, text: str, *, from_bot: bool, date: int | None = None) -> Shown:
        when = int(time.time()) if date is None else date
        shown = Shown(next(self._message_ids), chat, text, from_bot, when)
        self.messages[shown.message_id] = shown
        self._record("sendMessage" if from_bot else "written", shown)
        return shown

    def _record(self, method: str, shown: Shown) -> None:
        self.effects.append(Effect(time.monotonic(), method, shown.message_id, shown.text))

    def _push(self, content: dict[str, Any]) -> None:
        self._updates.append({"update_id": next(self._update_ids), **content})
        self._arrived.set()

    def _as_message(self, shown: Shown, person: int) -> dict[str, Any]:
        human = {"id": person, "is_bot": False, "first_name": f"Person {person}"}
        kind = {"type": "private", "first_name": human["first_name"]} if shown.chat > 0 else {"type": "group"}
        message: dict[str, Any] = {
            "message_id": shown.message_id,
            "from": BOT if shown.from_bot else human,
            "chat": {"id": shown.chat, **kind},
            "date": shown.date,
            "text": shown.text,
        }
        if shown.text.startswith("/"):
            length = len(shown.text.split()[0].encode("utf-16-le")) // 2
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        return message


def _is_on_screen(shown: Shown, chat: int) -> bool:
    return shown.chat == chat and not shown.is_deleted


def _text_of(params: Params) -> str:
    text = str(params.get("text", "")).strip()
    if not text:
        raise Refused(400, "Bad Request: message text is empty")
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > MOST_UNITS:
        raise Refused(400, "Bad Request: message is too long")
    return text


def _whole(params: Params, name: str, default: int) -> int:
    try:
        return int(params.get(name, default))
    except ValueError as fault:
        raise web.HTTPBadRequest(text=f"{name} is no integer") from fault


async def _read_params(request: web.Request) -> Params:
    """Return the parameters, however the client sends them: in the query, as a form, or as JSON."""
    sent: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json" and request.can_read_body:
        sent |= json.loads(await request.read())
    elif request.can_read_body:
        sent |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    return sent


def texts(shown: Sequence[Shown]) -> list[str]:
    """Return what these messages say."""
    return [message.text for message in shown]
