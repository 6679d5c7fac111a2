"""Finds candidate lines for a text search in a session file by bytes, without parsing them as JSON.

Words are compared by Unicode casefold. A line that is passed over cannot match: the search looks for a part of a word
that can be written in one way only, except for ASCII case. A line that might hold it in another way is a candidate:
escaped (`\\u0041`), or by one of the few characters that fold to ASCII letters (the Kelvin sign, ß, ligatures). Lines
without `content` have no text.
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
"""Non-ASCII characters whose casefold contains this ASCII letter; a test compares it with Unicode's tables."""

_ESCAPED = frozenset('"\\/')


@dataclass(frozen=True, slots=True)
class Query:
    """The words to find, casefolded, and the byte strings to look for."""

    words: tuple[str, ...]
    needle: bytes
    """The longest part of a word that can be written in one way only; empty: any line may match."""
    needles: tuple[bytes, ...]
    """Such parts of the other words."""
    others: tuple[bytes, ...]
    """Other ways to write letters of any of them."""

    def matches(self, text: str) -> bool:
        """Tell whether a text contains all the words."""
        folded = text.casefold()
        return all(word in folded for word in self.words)

    def candidates(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Yield the begin and end of each line that may match; the block consists of whole lines."""
        is_ascii = block.isascii()
        if b"\\u" in block or (not is_ascii and self._is_hidden(block)):
            yield from self._suspects(block)
            return
        if is_ascii and not all(map(str.isascii, self.words)):
            return  # all words lack a needle then, and text that is not ASCII was handled above
        if not self.needle:  # nothing but quotation marks, slashes or control characters
            yield from self._all(block)
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
