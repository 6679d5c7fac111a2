"""Stores the chats that got a new id: which id their sessions began with, and which one is valid now.

A group that becomes a supergroup gets a new id; its sessions keep the key that they began with.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

import structlog

from agentd.state.database import Database, transaction

__all__ = ["Alias", "Aliases", "ChatAliases", "read_aliases"]

log = structlog.get_logger()

Alias = tuple[str, str, str, str]
"""A channel, an account, the chat's old id and its new one."""

_Chat = tuple[str, str, str]


class ChatAliases:
    """The known changes of id as chains: each id has at most one successor and one predecessor, and no chain is a
    circle.
    """

    def __init__(self, aliases: Iterable[Alias] = ()) -> None:
        """Begin with these; one that contradicts those before it is left out."""
        self._new: dict[_Chat, str] = {}
        self._old: dict[_Chat, str] = {}
        for alias in aliases:
            self.add(*alias)

    def add(self, channel: str, account: str, old: str, new: str) -> bool:
        """Add a change of id; return whether it is known now. One that contradicts another is not added."""
        if self._new.get((channel, account, old)) == new:
            return True
        is_taken = (channel, account, old) in self._new or (channel, account, new) in self._old
        if is_taken or self.canonical(channel, account, old) == new or old == new:
            return False
        self._new[channel, account, old] = new
        self._old[channel, account, new] = old
        return True

    def canonical(self, channel: str, account: str, chat: str) -> str:
        """Return the id with which the sessions of this chat began."""
        return _follow(self._old, channel, account, chat)

    def current(self, channel: str, account: str, chat: str) -> str:
        """Return the id under which this chat is reached now."""
        return _follow(self._new, channel, account, chat)


class Aliases:
    """The changes of id in the database, looked up in memory."""

    def __init__(self, database: Database, known: ChatAliases) -> None:
        """Begin with what was read from the database."""
        self._database = database
        self._known = known

    async def add_alias(self, channel: str, account: str, old: str, new: str) -> bool:
        """Store a change of id; return whether it is known now. Raises StorageError if it is not on disk."""
        alias = (channel, account, old, new)
        known = await self._database.run_durably(lambda connection: _keep(connection, alias))
        if known is None:
            log.warning("alias_ignored", channel=channel, old=old, new=new, reason="it contradicts an earlier one")
            return False
        self._known = known
        return True

    async def forget(self, chats: Collection[tuple[str, str, str]]) -> int:
        """Remove all changes of these chats (channel, account, id); return the number of rows. Raises StorageError."""
        removed, self._known = await self._database.run_durably(lambda connection: _forget(connection, chats))
        return removed

    def canonical(self, channel: str, account: str, chat: str) -> str:
        """Return the id with which the sessions of this chat began."""
        return self._known.canonical(channel, account, chat)

    def current(self, channel: str, account: str, chat: str) -> str:
        """Return the id under which this chat is reached now."""
        return self._known.current(channel, account, chat)


def read_aliases(connection: sqlite3.Connection) -> ChatAliases:
    """Read all changes of id. Raises sqlite3.Error."""
    return ChatAliases(connection.execute("SELECT channel, account, old, new FROM alias"))


def _keep(connection: sqlite3.Connection, alias: Alias) -> ChatAliases | None:
    with transaction(connection):
        known = read_aliases(connection)
        if not known.add(*alias):
            return None
        connection.execute("INSERT OR IGNORE INTO alias VALUES (?, ?, ?, ?)", alias)
    return known


def _forget(connection: sqlite3.Connection, chats: Collection[tuple[str, str, str]]) -> tuple[int, ChatAliases]:
    with transaction(connection):
        removed = sum(
            connection.execute(
                "DELETE FROM alias WHERE channel = ? AND account = ? AND (old = ? OR new = ?)",
                [channel, account, chat, chat],
            ).rowcount
            for channel, account, chat in chats
        )
        return removed, read_aliases(connection)


def _follow(links: dict[_Chat, str], channel: str, account: str, chat: str) -> str:
    while (following := links.get((channel, account, chat))) is not None:
        chat = following
    return chat
