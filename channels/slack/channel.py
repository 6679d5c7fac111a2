"""The Slack channel runs one app in one workspace, through slack_sdk's Web API client and Socket Mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from channels.base import Accept, Address, Places, RemoteFile
from channels.errors import ChannelError, ChannelUnavailable, RateLimited, SendFailed, Unreachable
from channels.health import Health
from channels.markup.characters import is_blank
from channels.markup.cutting import cut_piece
from channels.markup.rich import Dialect, RichText, plain
from channels.pacing import Rate, Rates
from channels.settings import SlackSettings
from channels.slack.assistant import Assistant
from channels.slack.backoff import Backoff
from channels.slack.budget import TIER_3, Budget, Lull
from channels.slack.catchup import Inquiry
from channels.slack.chats import Chats
from channels.slack.connection import Connection
from channels.slack.dialect import SLACK
from channels.slack.doors import Doors
from channels.slack.downloads import Downloads
from channels.slack.faults import (
    ChatClosed,
    Misconfigured,
    Refusal,
    TokenRefused,
    Unsaid,
    is_about_blocks,
    is_gone,
    sentence_for,
)
from channels.slack.files import whole
from channels.slack.histories import Histories
from channels.slack.intake import Desk, Intake
from channels.slack.keeper import Keeper
from channels.slack.lanes import Lanes
from channels.slack.offering import Offering
from channels.slack.parse import Me, Reader
from channels.slack.people import People
from channels.slack.setup import wrong_bot
from channels.slack.standing import Standing
from channels.slack.threads import Threads
from channels.slack.waits import WAITS, Waits
from channels.slack.writing import escape_text, to_markdown
from channels.tools import Tools

__all__ = ["RATES", "SlackChannel", "open_slack"]

log = structlog.get_logger()

RATES = Rates(chat=Rate(3, 3.3))
"""One message a second in a conversation, where short bursts pass (https://docs.slack.dev/apis/web-api/rate-limits).

An edit counts like a message. Over the workspace Slack allows some hundreds of messages a minute, but fewer edits,
which have a budget of their own. The extra tenth of a second for each call is for the network.
"""

NOTHING_VISIBLE = "(There is nothing to see in this message.)"
"""Stands for a text that Slack would refuse as empty."""

MOST_TEXT_BYTES = 3_900
"""The limit of the text beside blocks, which only notifications and screen readers show, and of an edit without blocks:
beyond 4,000, escaped, Slack answers `msg_too_long`.
"""

SECTIONS = Dialect(plain, lambda rich: len(escape_text(rich.text)), 3_000)
"""How a long text without Markdown is cut into blocks
(https://docs.slack.dev/reference/block-kit/blocks/section-block)."""

Call = Callable[[AsyncWebClient], Awaitable[Any]]
Show = Callable[[Mapping[str, Any]], Call]
"""Builds a call from the text and the blocks of a message."""


class SlackChannel:
    """The channel of one Slack app. Messages can be sent before and after `run`, too."""

    name = "slack"
    streams = True
    dialect = SLACK
    nonce_seconds = 0.0
    """Slack has no nonce: it never drops a second copy of a message."""
    typing_seconds = 100.0
    """A status in an assistant thread stays until the next message, two minutes at most (assistant.threads.setStatus);
    elsewhere bots have no typing indicator.
    """

    def __init__(self, settings: SlackSettings, tools: Tools, waits: Waits = WAITS) -> None:
        """Prepare, without a call. Raises ChannelUnavailable for a token of the wrong form."""
        self.health = Health(tools.monotonic, waits.patience_seconds)
        self._settings = settings
        self._commands = tools.commands
        self._waits = waits
        self._chats = Chats()
        self._standing = Standing(self.health)
        self._connection = Connection(settings, self._standing, waits)
        self._assistant = Assistant(self._connection)
        self._downloads = Downloads(self._connection, self.health, waits)
        self._edits = Budget(TIER_3, tools.monotonic)
        self.rates = replace(RATES, edits=self._edits.wait_seconds)
        self._lull = Lull(waits.limited, tools.monotonic)
        self._keeper: Keeper | None = None

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive until cancelled. Raises ChannelUnavailable if Slack refuses a token at the start."""
        me = await self._introduce()
        refused = await self._receive(me, accept, places)
        if refused is not None:
            raise refused

    async def _receive(self, me: Me, accept: Accept, places: Places) -> ChannelUnavailable | None:
        """Receive until cancelled; if Slack refuses the first connection, return why."""
        async with asyncio.TaskGroup() as tasks:
            intake = self._build_intake(me, accept, places, tasks)
            backoff = Backoff(self.health, self._standing, self._waits)
            if self._keeper is not None:  # of a run before this one
                await self._keeper.close()
            keeper = self._keeper = Keeper(self._connection, intake.take, intake.alive, backoff, self._waits)

            def found() -> None:
                tasks.create_task(intake.catch_up.begin(), name="slack catch-up")

            try:
                await keeper.run(intake.catch_up.lost, found)
            except ChannelUnavailable as fault:  # outside of the group: it would come out as a group of one
                return fault
        return None

    def _build_intake(self, me: Me, accept: Accept, places: Places, tasks: asyncio.TaskGroup) -> Intake:
        reader = Reader(me, self._settings.channels, self._commands)
        threads = Threads(places, self.health.monotonic, self._standing, self._waits)
        of_chats, of_threads = (Budget(TIER_3, self.health.monotonic) for _ in range(2))
        histories = Histories(self._connection, (of_chats, of_threads), self._waits)
        lanes = Lanes(tasks, self._waits.most_waiting, self._waits.most_in_place)
        desk = Desk(
            me,
            reader,
            People(self._connection, me.team, self._settings.allowed_users, self._waits),
            threads,
            self._assistant,
            Doors(self._connection, of_chats, self._waits),
            Offering(self._hearing(accept), self._tell, self._standing, self._waits),
            self.health,
            self._standing,
            self._waits,
        )
        return Intake(desk, Inquiry(histories, reader, threads, lanes, self.health), tasks)

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send one message and return its `ts`; Slack takes no nonce."""
        del nonce

        def show(shown: Mapping[str, Any]) -> Call:
            return lambda client: client.chat_postMessage(
                channel=to.chat,
                **shown,
                thread_ts=to.thread,
                mrkdwn="blocks" in shown,
                unfurl_links=False,
                unfurl_media=False,
            )

        answer = await self._show(to.chat, text, show)
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise Unreachable("Slack's answer cannot be read")
        return ts

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Replace a message's text."""

        def show(shown: Mapping[str, Any]) -> Call:
            content = {"blocks": [], **shown}  # else the earlier blocks would stay
            if "blocks" not in shown and len(shown["text"].encode()) > MOST_TEXT_BYTES:
                content = {"text": _notice(text.text), "blocks": _sections(text.text)}
            return lambda client: client.chat_update(channel=to.chat, ts=message_id, **content, parse="none")

        await self._show(to.chat, text, show, self._edits)

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message; one that is gone already is no fault."""
        try:
            await self._call(to.chat, lambda client: client.chat_delete(channel=to.chat, ts=message_id))
        except SendFailed as fault:
            if not is_gone(fault):
                raise

    async def show_typing(self, to: Address) -> None:
        """Show the typing status in an assistant thread; elsewhere Slack has none for bots."""
        await self._assistant.think(to)

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        return self._downloads.fetch(file)

    async def close(self) -> None:
        """Close every connection; nothing can be sent after that. A process that ends need not do it."""
        try:
            if self._keeper is not None:
                await self._keeper.close()
        finally:  # also where the time for all of it is up
            await self._connection.close()

    async def _introduce(self) -> Me:
        """Ask who the bot is, retrying while the network or Slack cannot be reached."""
        backoff = Backoff(self.health, self._standing, self._waits)
        while True:
            try:
                told = await self._connection.call(lambda client: client.auth_test())
            except (Misconfigured, Refusal) as fault:
                wrong = fault if isinstance(fault, Misconfigured) else Misconfigured(fault.error)
                raise ChannelUnavailable(wrong_bot(wrong, is_slack=not self._settings.api_base_url)) from None
            except ChannelError as fault:
                await backoff.sit_out(fault)
                continue
            me = _read_me(told)
            if me is not None:
                log.info("slack_connected", bot=me.user, team=me.team)
                return me
            await backoff.sit_out(Unreachable("Slack's answer cannot be read"))

    def _hearing(self, accept: Accept) -> Accept:
        """Return `accept` with a first step: a chat that had shut the bot out counts as open again."""

        async def hear(inbound: Any) -> Any:
            self._chats.open(inbound.address.chat)
            return await accept(inbound)

        return hear

    async def _show(self, chat: str, text: RichText, show: Show, budget: Budget | None = None) -> Mapping[str, Any]:
        """Send or edit a text; if Slack refuses its blocks, try once more as plain text."""
        shown = plain(NOTHING_VISIBLE) if is_blank(text.text) else RichText(whole(text.text), text.spans)
        block = {"type": "markdown", "text": to_markdown(shown)}
        try:
            return await self._call(chat, show({"text": _notice(shown.text), "blocks": [block]}), budget)
        except SendFailed as fault:
            if not is_about_blocks(fault):
                raise
            log.warning("text_shown_plain", channel="slack", fault=str(fault))
        self.health.counts["plain"] += 1
        return await self._call(chat, show({"text": escape_text(shown.text)}), budget)

    async def _call(self, chat: str, call: Call, budget: Budget | None = None) -> Mapping[str, Any]:
        """Call Slack about a chat; one that has shut the bot out is not called again until somebody is heard there."""
        self._chats.check(chat)
        self._lull.check()
        try:
            answer = await self._connection.call(call, budget)
        except Unsaid as fault:
            raise RateLimited(str(fault), self._lull.refused()) from None
        except ChatClosed as fault:
            self._chats.close(chat, str(fault))
            log.warning("chat_closed", channel="slack", chat=chat, fault=str(fault))
            raise
        except TokenRefused as fault:
            log.error("slack_unavailable", fault=sentence_for(fault))
            raise
        self._lull.passed()
        return answer

    async def _tell(self, to: Address, text: str) -> None:
        try:
            await self.send(to, plain(text), "")
        except ChannelError as fault:
            log.warning("sender_not_told", channel="slack", fault=str(fault))


def open_slack(settings: SlackSettings, tools: Tools) -> SlackChannel:
    """Return the channel of one app, not yet connected."""
    return SlackChannel(settings, tools)


def _notice(text: str) -> str:
    """Return a text, escaped, and cut to what may stand beside blocks."""
    escaped = escape_text(text[:MOST_TEXT_BYTES])
    if len(escaped.encode()) <= MOST_TEXT_BYTES:
        return escaped
    return escape_text(text[: MOST_TEXT_BYTES // 5]) + "…"  # five bytes a character at most


def _sections(text: str) -> list[dict[str, Any]]:
    """Return a text as blocks without Markdown."""
    rest, pieces = plain(text), list[str]()
    while rest.text:
        piece, rest = cut_piece(rest, SECTIONS)
        pieces.append(piece.text)
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": escape_text(piece), "verbatim": True}}
        for piece in pieces
    ]


def _read_me(told: Mapping[str, Any]) -> Me | None:
    team, user, name = (told.get(key) for key in ("team_id", "user_id", "user"))
    if isinstance(team, str) and isinstance(user, str) and team and user:
        return Me(team, user, name if isinstance(name, str) and name else user)
    return None
