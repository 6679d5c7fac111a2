"""This module shows what assistant threads have besides messages: suggested prompts, a title, and a typing status.

No message waits for any of it. What Slack refuses is not tried again in that thread, or in any if the app is no
assistant.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from channels.base import Address
from channels.errors import ChannelError, SendFailed
from channels.slack.connection import Connection
from channels.slack.faults import Refusal
from channels.slack.parse import is_direct_chat

__all__ = ["MOST_TITLE", "PROMPTS", "STATUS", "Assistant"]

log = structlog.get_logger()

STATUS = "is thinking..."
"""The typing status, which Slack shows behind the bot's name until the next message."""

PROMPTS = (
    {"title": "What can you do?", "message": "What can you do?"},
    {"title": "List the commands", "message": "!help"},
)
MOST_TITLE = 60
MOST_THREADS = 1_000
"""How many threads of each kind are remembered; the oldest are forgotten first."""

_NO_ASSISTANT = frozenset({"missing_scope", "unknown_method", "access_denied", "not_allowed", "feature_not_enabled"})


class Assistant:
    """Sets the prompts, the title and the status of assistant threads."""

    def __init__(self, connection: Connection) -> None:
        """Prepare, without a call."""
        self._connection = connection
        self._is_on = True
        self._greeted: dict[Address, None] = {}
        self._untitled: dict[Address, None] = {}
        self._ordinary: dict[Address, None] = {}

    async def greet(self, thread: Address) -> None:
        """Suggest prompts in a thread that was just opened; once, however often Slack reports it."""
        if thread in self._greeted:
            return
        for known in (self._greeted, self._untitled):
            known[thread] = None
            _bound(known)
        await self._quietly(
            thread,
            lambda client: client.assistant_threads_setSuggestedPrompts(
                channel_id=thread.chat, thread_ts=str(thread.thread), prompts=[dict(prompt) for prompt in PROMPTS]
            ),
        )

    def wants_title(self, thread: Address) -> bool:
        """Tell whether a thread was opened and has no title yet; this can be true only once for each thread."""
        return thread in self._untitled and self._untitled.pop(thread, None) is None

    async def entitle(self, thread: Address, text: str) -> None:
        """Name a thread after its first message."""
        words = " ".join(text.split())
        title = words if len(words) <= MOST_TITLE else f"{words[: MOST_TITLE - 1].rstrip()}…"
        if title and not title.startswith("/"):
            await self._quietly(
                thread,
                lambda client: client.assistant_threads_setTitle(
                    channel_id=thread.chat, thread_ts=str(thread.thread), title=title
                ),
            )

    async def think(self, to: Address) -> None:
        """Show the typing status in an assistant thread; elsewhere do nothing. Raises Unreachable."""
        thread = to.thread
        if thread is None or not is_direct_chat(to.chat) or not self._is_on or to in self._ordinary:
            return
        try:
            await self._connection.call(
                lambda client: client.assistant_threads_setStatus(channel_id=to.chat, thread_ts=thread, status=STATUS)
            )
        except SendFailed as fault:
            self._give_up(to, fault)

    async def _quietly(self, thread: Address, call: Callable[[AsyncWebClient], Awaitable[Any]]) -> None:
        if not self._is_on:
            return
        try:
            await self._connection.call(call)
        except SendFailed as fault:
            self._give_up(thread, fault)
        except ChannelError as fault:
            log.info("assistant_not_shown", fault=str(fault))

    def _give_up(self, thread: Address, fault: SendFailed) -> None:
        if isinstance(fault, Refusal) and fault.error in _NO_ASSISTANT:
            self._is_on = False
            log.info("assistant_switched_off", fault=str(fault))
        else:
            self._ordinary[thread] = None
            _bound(self._ordinary)


def _bound(known: dict[Address, None]) -> None:
    while len(known) > MOST_THREADS:
        del known[next(iter(known))]
