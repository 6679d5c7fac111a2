"""This module parses a reply from the bytes of a stream, in either protocol."""

from __future__ import annotations

from agentd.providers.base import Event
from agentd.providers.errors import ProviderError
from agentd.providers.faults import Server
from agentd.providers.reply import ParsePiece, StreamedReply

SERVER = Server("models.example", "https://models.example/v1", "tiny")


def read_reply(parse_piece: ParsePiece, pieces: tuple[bytes, ...]) -> list[Event | str]:
    """Give the events, and the class of the error that ended them."""
    reply = StreamedReply(SERVER, parse_piece)
    events: list[Event | str] = []
    try:
        for piece in pieces:
            events.extend(reply.feed(piece))
        events.extend(reply.finish())
    except ProviderError as exc:
        events.append(type(exc).__name__)
    return events
