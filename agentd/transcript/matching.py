"""Finds the lines of a session file that may hold all the words looked for, without reading them as JSON.

All comparison is by Unicode casefold. A line that is passed over cannot match: a part of a word is looked for that is
written in one way only, but for ASCII case. Where a line might hold it in another way it counts as a candidate: escaped
(`\\u0041`), or by one of the few characters that fold to ASCII letters (the Kelvin sign, ß, ligatures). What has no
`content` has no text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Query", "parse_query"]

_FOLDING = {
    "a": "ẚ",
    "f": "ﬀﬁﬂﬃﬄ",
    "h": "ẖ",
    "i": "İﬁﬃ",
    "j": "ǰ",
    "k": "\N{KELVIN SIGN}",
    "l": "ﬂﬄ",
    "n": "ŉ",
    "s": "ſßẞﬅﬆ",
    "t": "ẗﬅﬆ",
    "w": "ẘ",
    "y": "ẙ",
}
"""Characters that are not ASCII and whose casefold holds this ASCII letter; a test holds it to Unicode's tables."""

_ESCAPED = frozenset('"\\/')


@dataclass(frozen=True, slots=True)
class Query:
    """Words, casefolded, and what can be looked for in bytes."""

    words: tuple[str, ...]
    needle: bytes
    """The longest part of a word that is written in one way; empty: any line may match."""
    needles: tuple[bytes, ...]
    """Such parts of the other words."""
    others: tuple[bytes, ...]
    """Other ways to write letters of any of them."""

    def matches(self, text: str) -> bool:
        """Tell whether a text holds all the words."""
        folded = text.casefold()
        return all(word in folded for word in self.words)

    def candidates(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Yield where lines that may match begin and end; the block consists of whole lines."""
        is_ascii = block.isascii()
        if b"\\u" in block or (not is_ascii and self._is_hidden(block)):
            yield from self._suspects(block)
            return
        if is_ascii and not all(map(str.isascii, self.words)):
            return  # which are all words without a needle: what is not ASCII was suspected above
        if not self.needle:  # which is found everywhere, again and again
            yield from self._suspects(block)
            return
        lowered = block.lower()
        at = lowered.find(self.needle)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            end = block.find(b"\n", at)
            end = len(block) if end < 0 else end
            if not self.needles or all(lowered.find(needle, start, end) >= 0 for needle in self.needles):
                yield start, end
            at = lowered.find(self.needle, end)

    def _is_hidden(self, block: bytes) -> bool:
        return not self.needle or any(other in block for other in self.others)

    def _suspects(self, block: bytes) -> Iterator[tuple[int, int]]:
        for start, end in self._all(block):
            line = block[start:end]
            escaped = b"\\u" in line
            hidden = escaped or (not line.isascii() and self._is_hidden(line))
            if (hidden or self.needle in line.lower()) and (escaped or b'"content"' in line):
                yield start, end

    @staticmethod
    def _all(block: bytes) -> Iterator[tuple[int, int]]:
        start = 0
        for line in block.split(b"\n"):
            if line:
                yield start, start + len(line)
            start += len(line) + 1


def parse_query(text: str) -> Query | None:
    """Return the query for these words, separated by white space; None if there are none."""
    words = tuple(dict.fromkeys(text.casefold().split()))
    if not words:
        return None
    parts = sorted((_longest(_plain_parts(word)) for word in words), key=len, reverse=True)
    others = {other.encode() for letter in "".join(parts) for other in _FOLDING.get(letter, "")}
    first, *more = (part.encode() for part in parts)
    return Query(words, first, tuple(filter(None, more)), tuple(sorted(others)))


def _longest(parts: list[str]) -> str:
    return max(parts, key=len, default="")


def _plain_parts(word: str) -> list[str]:
    """Split a word at the characters that may be written in several ways."""
    return "".join(character if _is_plain(character) else " " for character in word).split()


def _is_plain(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and character not in _ESCAPED
    return unicodedata.category(character) in ("Lo", "Nd")
