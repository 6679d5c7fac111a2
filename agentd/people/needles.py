"""What a person is found by in bytes: their ids, and all that they wrote and were told.

A text is looked for as it is, and as JSON and JSON within JSON write it. A long one is looked for in pieces, since a
database cuts it into pages. One that is shorter than `SHORTEST_BYTES` says nothing, and is not looked for.

All texts are looked for in one pass: wherever a piece of 15 bytes or more stands, one of its first eight runs of eight
bytes begins at a multiple of eight. So the file's runs at such places are compared with these, as numbers, and only
where one is alike is the piece itself looked for.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator

import msgspec

from agentd.transcript.key import SessionKey

__all__ = ["SHORTEST_BYTES", "Needles"]

SHORTEST_BYTES = 8

PIECE_BYTES = 256

RUN_BYTES = 8

LONG_ENOUGH = 2 * RUN_BYTES - 1

PLAIN_ID_CHARACTERS = 6
"""A shorter id stands in many places by chance: it is looked for where records and keys write one."""

LONG_ID_CHARACTERS = 8
"""One that is not a number and so long is looked for within words too: a database writes its values side by side."""


class Needles:
    """The ids of a person, and texts."""

    def __init__(self, senders: Iterable[str], texts: Iterable[str]) -> None:
        """Look for these senders (CHANNEL:SENDER) and texts."""
        self._ids = _pattern_of(sorted(senders))
        self._short: dict[bytes, set[str]] = {}
        self._long: dict[bytes, set[str]] = {}
        self._runs: dict[int, set[bytes]] = {}
        for text in texts:
            for piece in _pieces(text):
                if len(piece) < LONG_ENOUGH:
                    self._short.setdefault(piece, set()).add(text)
                else:
                    self._add_long(piece, text)
        self._known = frozenset(self._runs)

    def has_id(self, span: bytes) -> bool:
        """Tell whether an id stands there."""
        return self._ids.search(span) is not None

    def find_texts(self, span: bytes) -> set[str]:
        """Return the texts of which something stands there."""
        found = [text for piece, texts in self._short.items() if piece in span for text in texts]
        if self._known:
            numbers = array("Q", span[: len(span) // RUN_BYTES * RUN_BYTES])
            suspects = {piece for run in self._known.intersection(numbers) for piece in self._runs[run]}
            found += [text for piece in suspects if piece in span for text in self._long[piece]]
        return set(found)

    def _add_long(self, piece: bytes, text: str) -> None:
        self._long.setdefault(piece, set()).add(text)
        for start in range(RUN_BYTES):
            [number] = array("Q", piece[start : start + RUN_BYTES])
            self._runs.setdefault(number, set()).add(piece)


def _pieces(text: str) -> Iterator[bytes]:
    for written in _ways(text):
        for start in range(0, len(written), PIECE_BYTES):
            piece = written[start : start + PIECE_BYTES]
            if len(piece) >= SHORTEST_BYTES:
                yield piece


def _ways(text: str) -> set[bytes]:
    """Return how a text may be written: JSON with and without escapes for what is no ASCII, and JSON within JSON."""
    if len(text.encode("utf-8", "surrogatepass")) < SHORTEST_BYTES:
        return set()
    plain = {text, _inner(text, ascii_only=True), _inner(text, ascii_only=False)}
    nested = {_inner(way, ascii_only=True) for way in plain} | {_inner(way, ascii_only=False) for way in plain}
    ways = {way.encode("utf-8", "surrogatepass") for way in plain | nested}
    if text.isprintable() or not any("\ud800" <= character <= "\udfff" for character in text):
        ways.add(msgspec.json.encode(text)[1:-1])
    return ways


def _inner(text: str, *, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _pattern_of(senders: Iterable[str]) -> re.Pattern[bytes]:
    ways: list[bytes] = []
    for sender in senders:
        channel, _, name = sender.partition(":")
        encoded = SessionKey("x", "x", name).file_name.split("~")[2]
        quoted = re.escape(_inner(name, ascii_only=False).encode("utf-8", "surrogatepass"))
        ways += [
            rb'\\*"(?:id|sender|chat)\\*":\s*\\*"' + quoted + rb'\\*"',
            rb"(?<![0-9A-Za-z])"
            + re.escape(f"{channel}:{name}".encode("utf-8", "surrogatepass"))
            + rb"(?![0-9A-Za-z])",
            rb"~" + re.escape(encoded.encode()) + rb"(?=[~.\"\\]|$)",
        ]
        if name.isdigit() and len(name) >= PLAIN_ID_CHARACTERS:
            ways.append(rb"(?<![0-9])" + quoted + rb"(?![0-9])")
        elif len(name) >= LONG_ID_CHARACTERS:
            ways.append(quoted)
        elif len(name) >= PLAIN_ID_CHARACTERS:
            ways.append(rb"(?<![0-9A-Za-z])" + quoted + rb"(?![0-9A-Za-z])")
    return re.compile(b"|".join(ways) or rb"(?!)")
