"""This module is a fake of the store of moved chats, without a database."""

from __future__ import annotations


class FakeAliases:
    """The port, in memory; one change a chat."""

    def __init__(self) -> None:
        """Begin with chats that have always had their ids."""
        self.moves: dict[str, str] = {}

    def canonical(self, channel: str, account: str, chat: str) -> str:
        """Return the first id."""
        del channel, account
        return next((old for old, new in self.moves.items() if new == chat), chat)

    def current(self, channel: str, account: str, chat: str) -> str:
        """Return the last id."""
        del channel, account
        return self.moves.get(chat, chat)

    async def add_alias(self, channel: str, account: str, old: str, new: str) -> bool:
        """Keep a change."""
        del channel, account
        self.moves[old] = new
        return True
