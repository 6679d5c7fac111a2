"""This module finds out whether the app is a member of a conversation: slash commands come from everywhere.

It asks for the conversation's history: Slack refuses that for direct messages of other people and for channels without
the app. The answer is remembered for direct messages, but not for channels, since the app can be removed from one.
"""

from __future__ import annotations

import asyncio

import structlog

from channels.errors import ChannelError
from channels.slack.budget import Budget
from channels.slack.connection import Connection
from channels.slack.faults import ChatClosed
from channels.slack.parse import is_direct_chat
from channels.slack.waits import Waits

__all__ = ["Doors"]

log = structlog.get_logger()

MOST_CHATS = 5_000
"""How many are remembered; the oldest are forgotten first, which costs a call."""


class Doors:
    """Tells which conversations the app is in."""

    def __init__(self, connection: Connection, histories: Budget, waits: Waits) -> None:
        """Ask within the budget of `conversations.history`."""
        self._connection = connection
        self._histories = histories
        self._waits = waits
        self._own: dict[str, None] = {}

    def note(self, chat: str) -> None:
        """Note that a message came from these direct messages, which shows that the app is in them."""
        self._own.pop(chat, None)
        self._own[chat] = None
        if len(self._own) > MOST_CHATS:
            del self._own[next(iter(self._own))]

    async def is_own(self, chat: str) -> bool | None:
        """Tell whether the app is in a conversation; None: Slack did not answer in time."""
        if chat in self._own:
            return True
        try:
            async with asyncio.timeout(self._waits.name_seconds):
                await self._connection.call(
                    lambda client: client.conversations_history(channel=chat, limit=1), self._histories
                )
        except ChatClosed:
            return False
        except (ChannelError, TimeoutError) as fault:
            log.info("chat_not_known", channel="slack", chat=chat, fault=str(fault) or "no answer in time")
            return None
        if is_direct_chat(chat):
            self.note(chat)
        return True
