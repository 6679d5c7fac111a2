"""This module searches the bytes of files for very many texts and some ids at once, in one pass and bounded memory.

A file's bytes are split into words. Three consecutive words of each text are looked up among them, and only where they
occur is the text itself searched. A text's first and last words are not used: in a database the next column begins
without a gap.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from memory.outside import read_from_outside

__all__ = ["can_be_searched", "find_texts", "id_pattern"]

_CHUNK = 1 << 20
_PIECE = 120
"""The bytes of a piece: a text is searched by its pieces, since a long one lies on several pages of a database."""

_OVERLAP = 4 * _PIECE
_WORD = re.compile(rb"[A-Za-z0-9]+|[\xc2-\xf4][\x80-\xbf]+")
"""An ASCII word, or one character of any other script."""

_SHORTEST = 12
"""The least bytes of a piece: a shorter one occurs anywhere by chance."""

_SHORTEST_ID = 6
_ROW = 3
_FEW = 10
"""Up to how many pieces are searched one by one: that costs a thirtieth of splitting the bytes into words."""

Words = tuple[bytes, ...]
Sought = Mapping[Words, tuple[tuple[bytes, str], ...]]


def can_be_searched(text: str) -> bool:
    """Tell whether a text is long enough to be recognised by its bytes alone."""
    return any(True for _ in _pieces(text))


def find_texts(files: Iterable[Path], texts: Iterable[str], ids: Iterable[str] = ()) -> dict[str, set[str]]:
    """Return the texts and ids found in each file, by the file's name. Raises OSError.

    Texts that are too short are not searched; an id is found as a whole, not as the beginning of a longer one.
    """
    sought, marks = _sought(set(texts)), {text: id_pattern(text) for text in ids if len(text) >= _SHORTEST_ID}
    found: dict[str, set[str]] = {}
    for path in files:
        if sought or marks:
            chunks = _overlapping(read_from_outside(path, _CHUNK))
            found[path.name] = {text for chunk in chunks for text in _in_chunk(chunk, sought, marks)}
    return {name: held for name, held in found.items() if held}


def id_pattern(text: str) -> re.Pattern[bytes]:
    """Return a pattern that finds an id as a whole."""
    return re.compile(re.escape(text.encode("utf-8", "backslashreplace")) + rb"(?![0-9A-Za-z_])")


def _sought(texts: Iterable[str]) -> Sought:
    by_words: dict[Words, list[tuple[bytes, str]]] = defaultdict(list)
    for text in texts:
        for words, piece in _pieces(text):
            by_words[words].append((piece, text))
    return {words: tuple(pieces) for words, pieces in by_words.items()}


def _pieces(text: str) -> Iterator[tuple[Words, bytes]]:
    """Yield a text's beginning, middle and end, each with three consecutive words of it."""
    content = text.encode("utf-8", "backslashreplace")
    starts = {0, max(len(content) - _PIECE, 0) // 2, max(len(content) - _PIECE, 0)}
    for start in sorted(starts):
        piece = content[start : start + _PIECE]
        words = _WORD.findall(piece)[1:-1]
        if len(piece) >= _SHORTEST and len(words) >= _ROW:
            yield tuple(words[:_ROW]), piece


def _overlapping(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a file's bytes, each part with the end of the one before."""
    tail = b""
    for block in blocks:
        yield tail + block
        tail = (tail + block)[-_OVERLAP:]


def _in_chunk(chunk: bytes, sought: Sought, marks: Mapping[str, re.Pattern[bytes]]) -> Iterator[str]:
    yield from (text for text, mark in marks.items() if mark.search(chunk))
    if len(sought) <= _FEW:
        yield from (text for pieces in sought.values() for piece, text in pieces if piece in chunk)
    else:
        words = _WORD.findall(chunk)
        for row in sought.keys() & zip(words, words[1:], words[2:], strict=False):
            yield from (text for piece, text in sought[row] if piece in chunk)
