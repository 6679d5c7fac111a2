"""This module reads the history of a conversation or a thread from a given time on, within Slack's rate limits.

At most three requests are made for each place. Slack returns a conversation's newest messages first, but a thread's
oldest: of a thread the largest pages are asked for, so that its newest messages are reached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from channels.base import Address
from channels.errors import RateLimited, Unreachable
from channels.slack.budget import Budget
from channels.slack.connection import Connection
from channels.slack.faults import Unsaid
from channels.slack.parse import read_time
from channels.slack.waits import Waits

__all__ = ["MOST_REQUESTS", "Histories", "Page"]

MOST_REQUESTS = 3
"""How many requests are made for one place."""
PAGE, THREAD_PAGE = 100, 1_000
"""Messages in one request, the second the most for a thread
(https://docs.slack.dev/reference/methods/conversations.replies)."""
SPARE = 10
"""Requests of each minute that are kept for places where somebody writes before it is their turn to be read."""
MOST_TRIES = 10
"""How often a request is tried again while Slack cannot be reached."""
AHEAD_SECONDS = 86_400
"""How far after now the end of a history is set: only with an end does it begin with the newest
(conversations.history)."""

Call = Callable[[AsyncWebClient], Awaitable[Any]]


@dataclass(slots=True)
class Page:
    """The messages read of a history, in no order."""

    messages: list[Mapping[str, Any]] = field(default_factory=list)
    is_cut: bool = False
    """Whether Slack has more."""

    @property
    def oldest(self) -> float:
        """When the oldest message was sent, in Unix seconds; 0 if there is none."""
        times = [read_time(str(message.get("ts"))) for message in self.messages]
        return min((at.timestamp() for at in times if at is not None), default=0.0)


class Histories:
    """Reads histories within the budgets of the two methods."""

    def __init__(self, connection: Connection, budgets: tuple[Budget, Budget], waits: Waits) -> None:
        """`budgets`: of `conversations.history`, and of `conversations.replies`."""
        self._connection = connection
        self._of_chats, self._of_threads = budgets
        self._waits = waits
        self._back = asyncio.Event()

    def hurry(self) -> None:
        """Retry now what could not be read before: there is a connection again."""
        self._back.set()
        self._back = asyncio.Event()

    async def leave_room(self, place: Address) -> None:
        """Wait until a request for this kind of place leaves `SPARE` further ones in the budget."""
        budget = self._budget(place)
        while True:
            seconds = budget.wait_seconds(1 + SPARE)
            if seconds <= 0:
                return
            await asyncio.sleep(seconds)

    async def read(self, place: Address, oldest: float) -> Page:
        """Return what was written since `oldest` (Unix seconds). Raises SendFailed, and Unreachable after ten tries."""
        page = Page()
        cursor = ""
        for _ in range(MOST_REQUESTS):
            answer = await self._request(place, _build_call(place, f"{oldest:.6f}", cursor))
            page.messages += _messages(answer)
            metadata = answer.get("response_metadata")
            cursor = str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
            if not (answer.get("has_more") and cursor):
                return page
        page.is_cut = True
        return page

    async def _request(self, place: Address, call: Call) -> Mapping[str, Any]:
        """Make one request: wait out rate limits, and retry `MOST_TRIES` times while Slack cannot be reached."""
        budget = self._budget(place)
        tries = limits = 0
        while True:
            try:
                return await self._connection.call(call, budget)
            except Unsaid:
                await asyncio.sleep(self._waits.limited.after(limits))
                limits += 1
            except RateLimited as fault:
                await asyncio.sleep(fault.retry_after_seconds)
            except Unreachable:
                if tries >= MOST_TRIES:
                    raise
                await self._rest(self._waits.network.after(tries))
                tries += 1

    def _budget(self, place: Address) -> Budget:
        return self._of_chats if place.thread is None else self._of_threads

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._back.wait()


def _messages(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    messages = answer.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _build_call(place: Address, oldest: str, cursor: str) -> Call:
    page: dict[str, Any] = {"oldest": oldest, **({"cursor": cursor} if cursor else {})}
    if place.thread is not None:
        thread = place.thread
        return lambda client: client.conversations_replies(channel=place.chat, ts=thread, limit=THREAD_PAGE, **page)
    latest = f"{time.time() + AHEAD_SECONDS:.6f}"
    return lambda client: client.conversations_history(channel=place.chat, latest=latest, limit=PAGE, **page)
