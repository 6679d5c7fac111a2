"""Counts the messages that are sent, by outcome, for the metrics: a `Screen` in front of each channel's."""

from __future__ import annotations

from collections.abc import Callable

from channels.base import Address, Screen
from channels.errors import ChannelError, NotSent, SendFailed
from channels.markup.rich import RichText

__all__ = ["CountingScreen"]


class CountingScreen:
    """Passes every call on, and counts `send`."""

    def __init__(self, screen: Screen, count: Callable[[str], None]) -> None:
        """Give `count` the outcome of each new message: `sent`, `failed`, `not_sent` or `uncertain`."""
        self.streams = screen.streams
        self.dialect = screen.dialect
        self.nonce_seconds = screen.nonce_seconds
        self.typing_seconds = screen.typing_seconds
        self.edit = screen.edit
        self.delete = screen.delete
        self.show_typing = screen.show_typing
        self._send = screen.send
        self._count = count

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send, and count the outcome."""
        try:
            message_id = await self._send(to, text, nonce)
        except ChannelError as fault:
            self._count(_outcome(fault))
            raise
        self._count("sent")
        return message_id


def _outcome(fault: ChannelError) -> str:
    match fault:
        case SendFailed():
            return "failed"
        case NotSent():
            return "not_sent"
        case _:
            return "uncertain"
