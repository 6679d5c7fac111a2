"""This module remembers the conversations where the bot may not write, so that they are not called in vain."""

from __future__ import annotations

from channels.slack.faults import ChatClosed

__all__ = ["Chats"]

MOST_CHATS = 1_000
"""How many are remembered; the oldest are forgotten first, which costs a call that is refused."""


class Chats:
    """Remembers conversations that have shut the bot out, each until something is heard from it again."""

    def __init__(self) -> None:
        """Begin without knowing any."""
        self._closed: dict[str, str] = {}

    def close(self, chat: str, why: str) -> None:
        """Remember that the bot may not write there, and why."""
        self._closed[chat] = why
        if len(self._closed) > MOST_CHATS:
            del self._closed[next(iter(self._closed))]

    def open(self, chat: str) -> None:
        """Forget that the bot was shut out there."""
        self._closed.pop(chat, None)

    def check(self, chat: str) -> None:
        """Raise ChatClosed if the bot is known to be shut out."""
        if chat in self._closed:
            raise ChatClosed(self._closed[chat])
