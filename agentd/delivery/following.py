"""A screen that finds a chat which its platform gave another id.

A conversation keeps the id that it began with; only here, on the way out, it becomes the one that is valid now. What
was sent since the move is known by `CHAT/ID`: the new chat counts its messages anew, and an id of the old one may be
another message there. What was sent before the move stays where it is, and cannot be changed any more.
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
"""In one call: a platform that moves a chat round and round is not followed."""


class Aliases(Protocol):
    """The ids that a chat has had, within one channel's account."""

    def canonical(self, channel: str, account: str, chat: str) -> str:
        """Return the id with which the conversations of this chat were begun."""
        ...

    def current(self, channel: str, account: str, chat: str) -> str:
        """Return the id under which this chat is reached now."""
        ...

    async def add_alias(self, channel: str, account: str, old: str, new: str) -> bool:
        """Keep, on disk, that a chat has another id; tell whether that can be. Raises StorageError."""
        ...


class FollowingScreen:
    """The screen of one channel, for conversations wherever they are now; a `Screen`."""

    def __init__(self, screen: Screen, aliases: Aliases) -> None:
        """Show everything on `screen`."""
        self.streams = screen.streams
        self.dialect = screen.dialect
        self.nonce_seconds = screen.nonce_seconds
        self.typing_seconds = screen.typing_seconds
        self._screen = screen
        self._aliases = aliases

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send, and return the message's id; with the chat's where that is another than the conversation's."""

        async def send(now: Address) -> str:
            message_id = await self._screen.send(now, text, nonce)
            return message_id if now == to else f"{now.chat}{SEPARATOR}{message_id}"

        return await self._follow(to, send)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Edit what was sent since the chat moved, if it did."""
        await self._follow(to, lambda now: self._screen.edit(now, _own(to, now, message_id), text))

    async def delete(self, to: Address, message_id: str) -> None:
        """Delete what was sent since the chat moved, if it did."""
        await self._follow(to, lambda now: self._screen.delete(now, _own(to, now, message_id)))

    async def show_typing(self, to: Address) -> None:
        """Show that a reply is being made."""
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
    """Return a message's id in the chat as it is now. Raises SendFailed for one that was sent elsewhere."""
    chat, separator, in_chat = message_id.rpartition(SEPARATOR)
    if (chat if separator else to.chat) != now.chat:
        raise SendFailed("this was sent before the chat moved, and cannot be changed any more")
    return in_chat
