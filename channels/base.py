"""This module defines the `Channel` protocol that every platform implements, and the values that cross it.

A channel parses what its platform delivers into one frozen `Inbound` and passes it to `accept`, which returns once that
is on disk. Only then does the channel acknowledge it to its platform (an offset, an ack): `accept` returns a `Receipt`,
and a receipt comes from nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from channels.health import Health
from channels.markup.rich import Dialect, RichText
from channels.pacing import Rates

__all__ = [
    "Accept",
    "Address",
    "Author",
    "Channel",
    "Closing",
    "FromPerson",
    "Inbound",
    "InboundDelete",
    "InboundEdit",
    "InboundMessage",
    "InboundMove",
    "KnownPlace",
    "Places",
    "Receipt",
    "RemoteFile",
    "Screen",
]


@dataclass(frozen=True, slots=True)
class Address:
    """A place where people talk, and where a reply goes; `thread` is None outside threads and topics."""

    channel: str
    account: str
    chat: str
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """The person who wrote; `id` is the platform's stable id, the names are shown to people only."""

    id: str
    name: str
    username: str = ""
    """The platform's @name without the @, which its owner may change; empty where there is none."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that came with a message and is still with the platform; `ref` is what `fetch` needs."""

    name: str
    media_type: str
    size_bytes: int
    ref: str
    unread: str = ""
    """Why nothing of it can be used, as a plain sentence for its sender; such a file is not fetched."""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One platform message; `message_id` is the platform's own, `sent_at` the platform's time (aware, UTC)."""

    address: Address
    author: Author
    message_id: str
    sent_at: datetime
    text: str
    files: tuple[RemoteFile, ...] = ()
    album: str | None = None
    """An id that all messages of one album share; together they are one question."""
    goes_on: bool = False
    """Whether another part is about to follow: the rest of an album, or of a text too long for one message."""
    is_direct: bool = True
    """Whether the chat is private: nobody but the author and the daemon can read it."""


@dataclass(frozen=True, slots=True)
class InboundEdit:
    """A message's author changed its text; `message_id` is the message's own, `edited_at` the platform's time."""

    address: Address
    author: Author
    message_id: str
    edited_at: datetime
    text: str
    is_direct: bool = True


@dataclass(frozen=True, slots=True)
class InboundDelete:
    """A message was deleted; `author` is who wrote it, since that decides whose session it stands in."""

    address: Address
    author: Author
    message_id: str
    deleted_at: datetime
    is_direct: bool = True


@dataclass(frozen=True, slots=True)
class InboundMove:
    """The platform gave the chat at `address` another id: its conversations go on there."""

    address: Address
    to_chat: str


FromPerson = InboundMessage | InboundEdit | InboundDelete

Inbound = FromPerson | InboundMove


class Receipt(Protocol):
    """Proof that a message is on disk: only the daemon can make one, and only after the flush."""

    async def settled(self) -> None:
        """Wait until the message has been answered, or its sender told why not."""
        ...


Accept = Callable[[Inbound], Awaitable[Receipt]]
"""Writes what came in to disk. Raises `channels.errors.NotAccepted` when that failed: offer it again later."""


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """A place where somebody has written, and when the newest message of it that is on disk was sent (aware, UTC).

    A channel whose platform does not redeliver fetches what was written there since that time.
    """

    address: Address
    last_sent_at: datetime


Places = Callable[[], Awaitable[Sequence[KnownPlace]]]
"""Returns the places of one channel, each once, the most recently heard first; what cannot be read is left out.

Raises `channels.errors.NotAccepted` when it cannot tell now: ask again later.
"""


class Screen(Protocol):
    """The sending half of a channel: send, edit, delete. Its methods raise the classes of `channels.errors` only."""

    streams: bool
    """Whether a reply may be streamed: shown early and extended by edits."""
    dialect: Dialect
    nonce_seconds: float
    """How long the platform drops a second send with the same nonce and returns the first one's id; 0: never."""
    typing_seconds: float
    """How long the typing indicator stays visible; 0: the platform has none."""

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send one platform message and return its id; `nonce` lets the platform drop a second copy."""
        ...

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Replace the text of a message sent before."""
        ...

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message sent before; one that is gone already is no fault."""
        ...

    async def show_typing(self, to: Address) -> None:
        """Show the typing indicator: a reply is being made."""
        ...


class Channel(Screen, Protocol):
    """One connection to a platform: it sends as a `Screen` does, receives messages and fetches files."""

    name: str
    rates: Rates
    health: Health

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive messages until the platform ends (a console at its end of input); cancel to stop.

        `places` tells what is on disk now. A channel that has to catch up calls it at the start and after each gap.
        """
        ...

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A channel whose connections have to be closed before the process ends."""

    async def close(self) -> None:
        """Close every connection, within seconds; nothing can be sent after that."""
        ...
