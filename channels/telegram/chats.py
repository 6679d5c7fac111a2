"""This module remembers in which chats the bot may not write (403), and which chats are forums with topics."""

from __future__ import annotations

from channels.telegram.faults import ChatClosed

__all__ = ["Chats"]

MOST_CHATS = 1_000
"""How many of each kind are remembered; the oldest are forgotten first, which costs a call that is refused."""


class Chats:
    """Remembers the chats where the bot may not write, and those that have topics."""

    def __init__(self) -> None:
        """Begin without knowing any."""
        self._closed: dict[str, str] = {}
        self._forums: dict[str, None] = {}

    def close(self, chat: str, why: str) -> None:
        """Remember that the bot may not write there, and why."""
        self._closed[chat] = why
        _bound(self._closed)

    def open(self, chat: str) -> None:
        """Forget that the bot was shut out there."""
        self._closed.pop(chat, None)

    def check(self, chat: str) -> None:
        """Raise ChatClosed if the bot is known to be shut out."""
        if chat in self._closed:
            raise ChatClosed(self._closed[chat])

    def note_forum(self, chat: str) -> None:
        """Remember that a chat has topics."""
        self._forums[chat] = None
        _bound(self._forums)

    def is_forum(self, chat: str) -> bool:
        """Tell whether a chat is known to have topics."""
        return chat in self._forums


def _bound(known: dict[str, str] | dict[str, None]) -> None:
    while len(known) > MOST_CHATS:
        del known[next(iter(known))]
