"""Addresses messages to a chat's present id after the platform gave it a new one (a group that became a supergroup).

A conversation keeps the chat id that it began with; only here, on the way out, it is replaced by the one valid now. The
id of a message sent since the move is kept as `CHAT/ID`: the new chat counts its messages from the start, so a bare id
could mean another message there. What was sent before the move stays where it is, and cannot be changed any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from agentd.errors import StorageError
from channels.base import Address, Screen
from channels.errors import ChatMoved, NotSent, SendFailed
from channels.markup.rich import RichText

__all__ = ["Aliases", "FollowingScreen"]

log = structlog.get_logger()

T = TypeVar("T")

SEPARATOR = "/"

MOST_MOVES = 3
"""Moves followed in one call: more would be a platform that moves a chat in circles."""


class Aliases(Protocol):
    """The ids that a chat has had, within one channel's account."""

    def canonical(self, channel: str, account: str, chat: str) -> str:
        """Return the id with which the conversations of this chat began."""
        ...

    def current(self, channel: str, account: str, chat: str) -> str:
        """Return the id under which the chat is reached now."""
        ...

    async def add_alias(self, channel: str, account: str, old: str, new: str) -> bool:
        """Record on disk that a chat has another id; return False if that is impossible. Raises StorageError."""
        ...


class FollowingScreen:
    """A `Screen` of one channel that looks up where each conversation's chat is now."""

    def __init__(self, screen: Screen, aliases: Aliases) -> None:
        """Pass all calls on to `screen`, with the present chat id."""
        self.streams = screen.streams
        self.dialect = screen.dialect
        self.nonce_seconds = screen.nonce_seconds
        self.typing_seconds = screen.typing_seconds
        self._screen = screen
        self._aliases = aliases

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send, and return the message's id; prefixed with the chat's id if that has changed since the conversation
        began.
        """

        async def send(now: Address) -> str:
            message_id = await self._screen.send(now, text, nonce)
            return message_id if now == to else f"{now.chat}{SEPARATOR}{message_id}"

        return await self._follow(to, send)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Edit a message; refused if it was sent before the chat moved."""
        await self._follow(to, lambda now: self._screen.edit(now, _own(to, now, message_id), text))

    async def delete(self, to: Address, message_id: str) -> None:
        """Delete a message; refused if it was sent before the chat moved."""
        await self._follow(to, lambda now: self._screen.delete(now, _own(to, now, message_id)))

    async def show_typing(self, to: Address) -> None:
        """Show the typing indicator."""
        await self._follow(to, self._screen.show_typing)

    async def _follow(self, to: Address, call: Callable[[Address], Awaitable[T]]) -> T:
        for _ in range(MOST_MOVES):
            now = replace(to, chat=self._aliases.current(to.channel, to.account, to.chat))
            try:
                return await call(now)
            except ChatMoved as fault:
                log.info("chat_moved", channel=to.channel, chat=now.chat, to=fault.to_chat)
                await self._keep(now, fault.to_chat)
        raise SendFailed("the chat has moved again and again")

    async def _keep(self, now: Address, to_chat: str) -> None:
        try:
            await self._aliases.add_alias(now.channel, now.account, now.chat, to_chat)
        except StorageError as fault:
            raise NotSent(f"the chat's new id could not be kept: {fault}") from fault


def _own(to: Address, now: Address, message_id: str) -> str:
    """Return a message's id in the chat as it is now. Raises SendFailed if it was sent before the chat moved."""
    chat, separator, in_chat = message_id.rpartition(SEPARATOR)
    if (chat if separator else to.chat) != now.chat:
        raise SendFailed("this was sent before the chat moved, and cannot be changed any more")
    return in_chat
