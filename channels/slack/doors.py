"""Whose direct messages a conversation is: a slash command comes from those of other people, too, and looks alike.

Slack shows the history of its own to the app, and says of others' that there is no such conversation.
"""

from __future__ import annotations

import asyncio

import structlog

from channels.errors import ChannelError
from channels.slack.budget import Budget
from channels.slack.connection import Connection
from channels.slack.faults import ChatClosed
from channels.slack.waits import Waits

__all__ = ["Doors"]

log = structlog.get_logger()

MOST_CHATS = 5_000
"""Remembered; the oldest are forgotten first, which costs a call."""


class Doors:
    """The direct messages that are the app's own."""

    def __init__(self, connection: Connection, histories: Budget, waits: Waits) -> None:
        """Ask within the budget of the histories."""
        self._connection = connection
        self._histories = histories
        self._waits = waits
        self._own: dict[str, None] = {}

    def note(self, chat: str) -> None:
        """Note that a message came from there, of which Slack tells only who is in it."""
        self._own.pop(chat, None)
        self._own[chat] = None
        if len(self._own) > MOST_CHATS:
            del self._own[next(iter(self._own))]

    async def is_own(self, chat: str) -> bool | None:
        """Tell whether the app is in these direct messages; None: that cannot be told in time."""
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
        self.note(chat)
        return True
