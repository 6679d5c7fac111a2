"""The port to a platform, and the values that cross it.

A channel parses at the edge into one frozen `Inbound` and offers it to `accept`, which returns once that is on disk.
Only then does the channel tell its platform so (an offset, an ack): what `accept` returns is the only `Receipt`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = [
    "Accept",
    "Address",
    "Attachment",
    "Author",
    "Channel",
    "Inbound",
    "InboundDelete",
    "InboundEdit",
    "InboundMessage",
    "Receipt",
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
    """Who wrote, by the platform's stable id; the name is for people only."""

    id: str
    name: str
    username: str = ""
    """The platform's @name without the @, which its owner may change; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, already stored beside the session."""

    name: str
    media_type: str
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One platform message; `message_id` is the platform's own, `sent_at` the platform's time (aware, UTC)."""

    address: Address
    author: Author
    message_id: str
    sent_at: datetime
    text: str
    attachments: tuple[Attachment, ...] = ()
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


Inbound = InboundMessage | InboundEdit | InboundDelete


class Receipt(Protocol):
    """Proof that a message is on disk: only the daemon can make one, and only after the flush."""

    async def settled(self) -> None:
        """Wait until the message has been answered, or its sender told why not."""
        ...


Accept = Callable[[Inbound], Awaitable[Receipt]]
"""Puts what came in on disk. Raises `channels.errors.NotAccepted` where that failed: offer it again later."""


class Channel(Protocol):
    """One platform connection. Sending raises the classes of `channels.errors` and nothing else."""

    name: str
    streams: bool
    """Whether a reply may grow on the person's screen by edits."""
    most_units: int | None
    """UTF-16 code units that one platform message takes; None where there is no limit."""
    nonce_seconds: float
    """How long a second send with the same nonce shows nothing new and returns the first one's id; 0: never."""

    async def run(self, accept: Accept) -> None:
        """Receive until the platform has no more to say (a console at its end of input); cancel to stop."""
        ...

    async def send(self, to: Address, text: str, nonce: str) -> str:
        """Send one platform message and return its id; `nonce` lets the platform drop a second copy."""
        ...

    async def edit(self, to: Address, message_id: str, text: str) -> None:
        """Replace the text of a message sent before."""
        ...

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message sent before; one that is gone already is no fault."""
        ...
