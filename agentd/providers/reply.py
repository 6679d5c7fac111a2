"""Assembles one streamed reply from its bytes, whatever the protocol: events out, no I/O.

It is bounded, since a server may be broken or hostile: a reply that never ends is refused. Lone surrogates do not leave
here, though servers send them: an emoji is two escapes in JSON, and some servers cut their pieces in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec

from agentd.providers.base import Event, Finished, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderRefused, ProviderRetryable
from agentd.providers.faults import Server, build_error, parse_fault_tree
from agentd.providers.sse import EventTooLong, SSEReader

__all__ = ["MAX_BODY_BYTES", "Counts", "Ending", "ParsePiece", "Piece", "StreamedReply", "decode", "parse_document"]

MAX_EVENT_BYTES = 1024 * 1024
"""Per event. A chunk is a few hundred bytes; servers that send the whole reply at once stay far below this too."""

MAX_REPLY_CHARACTERS = 4 * 1024 * 1024
"""About a million tokens: more than any model returns in one reply, and no burden on memory."""

MAX_BODY_BYTES = 2 * MAX_REPLY_CHARACTERS
"""For a reply that comes as one JSON document."""

MAX_TOKENS = 2**53
"""A count above this (the largest integer that JSON carries safely) is wrong."""

Ending = Literal["stop", "length", "filtered", "full", "broken"]
"""Why a reply ended: `full`, the model's context was used up; `broken`, the server says it was cut."""

_REPLACEMENT = "\ufffd"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Counts:
    """Token counts of one event; None if it does not say."""

    input: float | None = None
    output: float | None = None
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The content of one event of a stream, or of a whole document; each part may be missing."""

    text: str = ""
    ending: Ending | None = None
    counts: Counts | None = None
    model: str = ""
    error: object = None
    is_last: bool = False


ParsePiece = Callable[[bytes], Piece]
"""Parses one event's data. Raises ValueError or RecursionError."""


def parse_document(body: bytes, server: Server, parse_piece: ParsePiece) -> Iterator[Event]:
    """Parse a reply that came as one JSON document, from a server that does not stream."""
    reply = StreamedReply(server, parse_piece)
    if len(body) > MAX_BODY_BYTES:
        raise reply.endless()
    yield from reply.take(body)
    yield from reply.finish()


class StreamedReply:
    """One reply as it comes in: feed it bytes, take the events, and see whether it is `complete`."""

    def __init__(self, server: Server, parse_piece: ParsePiece) -> None:
        """Start an empty reply from this server."""
        self._server = server
        self._parse_piece = parse_piece
        self._reader = SSEReader(MAX_EVENT_BYTES)
        self._ending: Ending | None = None
        self._usage = Usage()
        self._model = server.model
        self._characters = 0
        self._half = ""
        self.closed = False
        """Whether nothing more is needed: the server said that it has finished, or reply and counts are complete."""

    @property
    def complete(self) -> bool:
        """Whether the server has given a reason why the reply ended."""
        return self._ending is not None

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events in these bytes, however the stream was cut into pieces."""
        try:
            for data in self._reader.feed(piece):
                yield from self.take(data)
        except EventTooLong as exc:
            raise self.endless() from exc

    def take(self, data: bytes) -> Iterator[Event]:
        """Yield the events of one piece of the stream's data."""
        if self.closed or not data.strip():
            return
        piece = self._parse(data)
        if piece.error:
            raise build_error(parse_fault_tree({"error": _mend_tree(piece.error)}), self._server)
        self._model = piece.model or self._model
        if piece.counts:
            self._usage = _joined(self._usage, piece.counts)
        if text := self._join(piece.text):
            self._characters += len(text)
            if self._characters > MAX_REPLY_CHARACTERS:
                raise self.endless()
            yield TextDelta(text)
        self._ending = piece.ending or self._ending
        self.closed = piece.is_last or (self.complete and piece.counts is not None)

    def finish(self) -> Iterator[Event]:
        """Yield the end of the reply; raise `ProviderRetryable` if the server gave no reason for it."""
        if not self.complete:  # what may remain after the reason was cut, and is not missed
            for data in self._reader.finish():
                yield from self.take(data)
        if self._ending is None or self._ending == "broken":
            raise ProviderRetryable(f"the model's server at {self._server.host} broke off its reply: try again")
        if self._ending == "full" and not self._characters:
            raise ContextTooLong(
                f"the conversation leaves {self._server.model} at {self._server.host} no room for a reply: shorten it"
            )
        if self._half:
            self._half = ""
            yield TextDelta(_REPLACEMENT)
        reason = "length" if self._ending == "full" else self._ending
        yield Finished(reason, self._usage, _mend(self._model)[:200])

    def endless(self) -> ProviderRefused:
        """Return the refusal of a reply that exceeds a bound."""
        return ProviderRefused(
            f"the model's server at {self._server.host} sent a reply without an end: it was cut; try another model"
        )

    def _join(self, text: str) -> str:
        """Put the held-back half of a surrogate pair before the text, and hold its own last half back."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return _mend(text[: len(text) - len(self._half)])

    def _parse(self, data: bytes) -> Piece:
        try:
            return self._parse_piece(data)
        except (ValueError, RecursionError) as exc:
            raise ProviderRetryable(
                f"the model's server at {self._server.host} sent a reply that cannot be read: try again"
            ) from exc


def decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Parse an event; if msgspec refuses one with escapes, check whether that was only for a lone surrogate.

    The result may hold halves of pairs, to be joined with other pieces. Raises ValueError or RecursionError.
    """
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        if b"\\u" not in data:
            raise
    return msgspec.convert(json.loads(data.decode(), parse_constant=_refuse_constant), decoder.type)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _mend(text: str) -> str:
    """Join halves that stand side by side into pairs, and replace any other half by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _mend_tree(tree: object) -> object:
    return json.loads(_mend(json.dumps(tree, ensure_ascii=False)))


def _joined(known: Usage, counts: Counts) -> Usage:
    """Take the newer counts: they are totals, not increments."""
    return Usage(
        known.input_tokens if counts.input is None else _count(counts.input),
        known.output_tokens if counts.output is None else _count(counts.output),
        known.cached_input_tokens if counts.cached is None else _count(counts.cached),
    )


def _count(value: float) -> int:
    return int(min(max(value, 0), MAX_TOKENS))
