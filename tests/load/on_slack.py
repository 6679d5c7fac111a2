"""This module puts the crowd on Slack: most in direct messages, some in a channel's thread, some in new threads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from tests.load.crowd import Fault, Seen, Until
from tests.platforms.slack_server import APP_TOKEN, BOT, BOT_TOKEN, Behaviour, Call, SlackServer

ANSWER_SECONDS = 0.03
"""How long a call's answer is on its way: the calls whose answer a loss swallows are in doubt."""
PER_THREAD = 5
"""Messages that somebody who begins a thread now and then writes in one."""


class OnSlack:
    """A `Platform`."""

    name = "slack"

    def __init__(self, server: SlackServer, people: int, per_thread: int = PER_THREAD) -> None:
        """Open every place where somebody will write; who begins threads does so after so many messages."""
        self.changed = server.changed
        self.config = (
            f'[channels_config.slack]\nbot_token = "{BOT_TOKEN}"\napp_token = "{APP_TOKEN}"\n'
            f'api_base_url = "{server.base_url}"\nallowed_users = ["*"]\n'
        )
        self.faults: Mapping[str, Fault] = {
            "refresh": self._refresh,
            "line drop": self._drop,
            "network loss": self._lose,
        }
        self._server = server
        self._roots: dict[int, str] = {}
        self._written: Counter[int] = Counter()
        for person in range(people):
            self._open(person)
        self._per_thread = per_thread
        server.usual = dict.fromkeys(("chat.postMessage", "chat.update"), _on_its_way()).get

    @property
    def is_connected(self) -> bool:
        """Whether the bot hears what is written."""
        return bool(self._server.lines.open)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way to the bot, nor comes again."""
        return not self._server.unacked

    def write(self, person: int, text: str) -> Hashable:
        """Let a person write: of five, three directly, one in a thread of their own, one in new ones now and then."""
        author, channel = _name(person), _channel(person)
        if channel is None:
            self._server.post(text, author=author)
            return self._server.dm_of(author), None
        self._written[person] += 1
        root = self._roots.get(person)
        if root is None or (person % 5 == 4 and self._written[person] % self._per_thread == 0):
            root = self._roots[person] = self._server.mention(text, author=author, channel=channel)
        else:
            self._server.post(text, author=author, channel=channel, thread=root)
        return channel, root

    def effects(self, since: int) -> Sequence[Seen]:
        """Return what the bot has shown, and what people have written, which names no answer's end."""
        effects = self._server.effects[since:]
        return [Seen((effect.channel, effect.thread), effect.text, effect.at_seconds) for effect in effects]

    def screen(self) -> Sequence[Seen]:
        """Return everything that the bot's messages show now."""
        shown = self._server.screen(None)
        return [Seen((one.channel, one.thread), one.seen, message_id=one.ts) for one in shown]

    def wrongs(self) -> list[str]:
        """Return what the bot has done that Slack does not allow."""
        return [*self._server.refusals, *map(str, self._server.violations)]

    def _open(self, person: int) -> None:
        author, channel = _name(person), _channel(person)
        self._server.name_person(author, f"person{person}")
        if channel is not None:
            self._server.open_channel(channel).members |= {author, BOT}

    async def _refresh(self, _seconds: float, until: Until) -> None:
        """Ask the app to leave its line; it is over when the line is closed."""
        line = self._server.lines.open[0]
        self._server.disconnect("refresh_requested", close_seconds=1)
        await until(lambda: line not in self._server.lines.open)

    async def _drop(self, _seconds: float, _until: Until) -> None:
        self._server.drop()

    async def _lose(self, seconds: float, _until: Until) -> None:
        self._server.refuse_connections = True
        await asyncio.sleep(seconds)
        self._server.refuse_connections = False


def _name(person: int) -> str:
    return f"U0LOAD{person:04}"


def _channel(person: int) -> str | None:
    """Return the channel where a person writes, which two share; None: they write directly."""
    return None if person % 5 < 3 else f"C0LOAD{person % 5}{person // 10:03}"


def _on_its_way() -> Behaviour:
    """Do it at once, and say so a while later, if there is a network then."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.answer()
        await asyncio.sleep(ANSWER_SECONDS)
        if call.server.refuse_connections:
            call.drop()
        return response

    return behave


@asynccontextmanager
async def open_slack(people: int, again: Sequence[float]) -> AsyncIterator[OnSlack]:
    """Open a Slack for so many people; `again`: how long after each failure an event is sent again, in seconds."""
    async with SlackServer() as server:
        server.deliveries.retry_seconds = tuple(again)
        yield OnSlack(server, people)
