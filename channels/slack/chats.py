"""The places where the bot may not write."""

from __future__ import annotations

from channels.slack.faults import ChatClosed

__all__ = ["Chats"]

MOST_CHATS = 1_000
"""The oldest are forgotten first, which costs a call that is refused."""


class Chats:
    """Conversations that have shut the bot out; one is open again once something is heard from it."""

    def __init__(self) -> None:
        """Begin without knowing any."""
        self._closed: dict[str, str] = {}

    def close(self, chat: str, why: str) -> None:
        """Remember that nothing can be said there."""
        self._closed[chat] = why
        if len(self._closed) > MOST_CHATS:
            del self._closed[next(iter(self._closed))]

    def open(self, chat: str) -> None:
        """Remember that something can be said there again."""
        self._closed.pop(chat, None)

    def check(self, chat: str) -> None:
        """Raise ChatClosed where nothing can be said."""
        if chat in self._closed:
            raise ChatClosed(self._closed[chat])
