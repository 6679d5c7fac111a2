"""Parses server-sent events (SSE) from bytes, with a bound on memory.

Only `data` matters to the model servers' protocols; other fields and comments are dropped. httpx-sse is not used: its
decoders keep an unfinished line, and the lines of an unfinished event, without any limit, they are private, and its
public reader takes a whole response, so that no bound could be placed in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["EventTooLong", "SSEReader"]

_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLong(Exception):
    """One event has more bytes than the reader may hold."""


class SSEReader:
    """Takes bytes however they were cut, and yields the data of each event; holds at most `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        """Start empty."""
        self._limit_bytes = limit_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of the events that this piece completes; raise `EventTooLong` beyond the limit."""
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]  # the second half of a line end that was cut in two
            self._after_cr = False
        if not piece:
            return
        self._after_cr = piece.endswith(b"\r")
        *complete, rest = _LINE_END.split(piece)
        for part in complete:
            self._hold(part)
            yield from self._end_line()
        self._hold(rest)

    def finish(self) -> Iterator[bytes]:
        """Yield the event that the stream's end left without its final empty line, if there is one.

        The standard drops such an event; some servers end their stream that way.
        """
        if self._line:
            yield from self._end_line()
        yield from self._end_event()

    def _hold(self, part: bytes) -> None:
        self._line += part
        if len(self._line) + self._data_bytes > self._limit_bytes:
            raise EventTooLong

    def _end_line(self) -> Iterator[bytes]:
        line = bytes(self._line)
        self._line.clear()
        if not line:
            yield from self._end_event()
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_bytes += len(line)

    def _end_event(self) -> Iterator[bytes]:
        if self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            self._data_bytes = 0
            yield data
