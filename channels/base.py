"""The port to a platform, and the values that cross it.

A channel parses at the edge into one frozen `Inbound` and offers it to `accept`, which returns once that is on disk.
Only then does the channel tell its platform so (an offset, an ack): what `accept` returns is the only `Receipt`.
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
    """Who wrote, by the platform's stable id; the names are for people only."""

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
    """What the parts of one album have in common: they are one question."""
    goes_on: bool = False
    """Whether more of the same is about to come: a part of an album, or of a text that was too long for one."""
    is_direct: bool = True
    """Whether nobody but its author and the daemon can read there."""


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
    """A message's author took it back; `author` is who wrote it, since that decides whose session it stands in."""

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
"""Puts what came in on disk. Raises `channels.errors.NotAccepted` where that failed: offer it again later."""


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """Where somebody was heard before, and when the newest message that is on disk was sent there (aware, UTC).

    From there on, what a platform does not deliver again has to be asked for.
    """

    address: Address
    last_sent_at: datetime


Places = Callable[[], Awaitable[Sequence[KnownPlace]]]
"""Gives the places of one channel, each once, the one heard last first; what cannot be read is not among them.

Raises `channels.errors.NotAccepted` where that cannot be told: ask again later.
"""


class Screen(Protocol):
    """What people see of the daemon. Its methods raise the classes of `channels.errors` and nothing else."""

    streams: bool
    """Whether a reply may grow on the person's screen by edits."""
    dialect: Dialect
    nonce_seconds: float
    """How long a second send with the same nonce shows nothing new and returns the first one's id; 0: never."""
    typing_seconds: float
    """How long the sign that a reply is being made stays; 0: there is none."""

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
        """Show that a reply is being made."""
        ...


class Channel(Screen, Protocol):
    """One platform connection."""

    name: str
    rates: Rates
    health: Health

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive until the platform has no more to say (a console at its end of input); cancel to stop.

        `places` tells what is on disk now: asked at the start, and after each gap, it says where to catch up from.
        """
        ...

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed where it cannot be had, Unreachable where it can later."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A channel that keeps connections which want to be closed before the process ends."""

    async def close(self) -> None:
        """Close every connection, within seconds; nothing can be sent after that."""
        ...
