"""Finds a person's ids and texts in raw bytes, fast, for the search after an erasure.

A text is looked for as it is, and as JSON and JSON within JSON write it. A long one is looked for in pieces, since a
database cuts it into pages. A text shorter than `SHORTEST_BYTES` proves nothing, and is not looked for.

All texts are found in one pass: in every place where a piece of 15 bytes or more stands, one of its first eight runs of
eight bytes begins at a multiple of eight. So the file's runs at those places are looked up among these, as numbers, and
only for a match is the piece itself compared. Shorter pieces, if there are many, are found by their first run, at each
of eight offsets. The cost does not grow with the number of texts.
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

FEW = 64
"""Up to so many short pieces are looked for one by one."""

LONG_ENOUGH = 2 * RUN_BYTES - 1

PLAIN_ID_CHARACTERS = 6
"""A shorter id occurs in many places by chance: it is looked for only in the forms of records and keys."""

LONG_ID_CHARACTERS = 8
"""Longer ids that are not numbers are looked for within words too, since a database stores values side by side."""


class Needles:
    """What to look for: a person's ids, and texts."""

    def __init__(self, senders: Iterable[str], texts: Iterable[str]) -> None:
        """Look for these senders (CHANNEL:SENDER) and texts."""
        self._ids = _pattern_of(sorted(senders))
        self._texts: dict[bytes, set[str]] = {}
        for text in texts:
            for piece in _pieces(text):
                self._texts.setdefault(piece, set()).add(text)
        self._few = [piece for piece in self._texts if len(piece) < LONG_ENOUGH]
        self._short, self._long = _Runs(), _Runs()
        if len(self._few) > FEW:
            for piece in self._few:
                self._short.add(piece, places=1)
            self._few = []
        for piece in self._texts:
            if len(piece) >= LONG_ENOUGH:
                self._long.add(piece, places=RUN_BYTES)

    def has_id(self, span: bytes) -> bool:
        """Tell whether an id occurs in these bytes."""
        return self._ids.search(span) is not None

    def find_texts(self, span: bytes) -> set[str]:
        """Return the texts of which a piece occurs in these bytes."""
        found = {piece for piece in self._few if piece in span}
        found.update(self._long.find(span, shifts=1), self._short.find(span, shifts=RUN_BYTES))
        return {text for piece in found for text in self._texts[piece]}


class _Runs:
    """Indexes pieces by their runs of eight bytes, as numbers."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[tuple[bytes, int]]] = {}

    def add(self, piece: bytes, *, places: int) -> None:
        """Index a piece by its runs at the first `places` offsets."""
        for start in range(places):
            [number] = array("Q", piece[start : start + RUN_BYTES])
            self._pieces.setdefault(number, []).append((piece, start))

    def find(self, span: bytes, *, shifts: int) -> Iterator[bytes]:
        """Yield the pieces in the span with a run at a multiple of eight, or up to `shifts` - 1 bytes after one."""
        known = self._pieces
        for shift in range(shifts if known else 0):
            numbers = array("Q", span[shift : shift + (len(span) - shift) // RUN_BYTES * RUN_BYTES])
            hits = [(place, number) for place, number in enumerate(numbers) if number in known]
            for place, number in hits:
                for piece, start in known[number]:
                    begin = shift + place * RUN_BYTES - start
                    if begin >= 0 and span.startswith(piece, begin):
                        yield piece


def _pieces(text: str) -> Iterator[bytes]:
    for written in _ways(text):
        for start in range(0, len(written), PIECE_BYTES):
            piece = written[start : start + PIECE_BYTES]
            if len(piece) >= SHORTEST_BYTES:
                yield piece


def _ways(text: str) -> set[bytes]:
    """Return the ways a text may be written: JSON with and without escaped non-ASCII, and JSON within JSON."""
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
