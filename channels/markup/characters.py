"""This module tells which characters platforms refuse, which are invisible, and which must not be separated."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["harmless", "is_blank", "is_joined"]

REPLACEMENT = "\ufffd"
ZERO_WIDTH_JOINER = "\u200d"

_LINE_ENDS = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_REFUSED = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SHOWN = re.compile(
    # All but: space, controls, marks of direction, joiners, fillers, variation selectors, tags.
    "[^\\s\0-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\U000e0000-\U000e0fff]"
)
_EXTENDS = ("Mn", "Mc", "Me")


def harmless(text: str) -> str:
    """Return the text as every platform takes it: all line ends become line feeds, other control characters U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return _REFUSED.sub(REPLACEMENT, _LINE_ENDS.sub("\n", text))


def is_blank(text: str) -> bool:
    """Tell whether a text shows nothing; platforms refuse to send such a text as empty."""
    return _SHOWN.search(text) is None


def is_joined(text: str, at: int) -> bool:
    """Tell whether the characters before and after `at` are shown as one, so that a cut there would split it.

    It follows the common part of the rules for grapheme clusters (https://www.unicode.org/reports/tr29/): marks,
    joiners, variation selectors, skin tones, tags, flags, Korean syllables in parts, and the line end CR LF.
    """
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    return (
        _extends(after)
        or before == ZERO_WIDTH_JOINER
        or (_is_jamo(before) and _is_jamo(after))
        or (_is_flag_half(before) and _is_flag_half(after) and _flag_halves_before(text, at) % 2 == 1)
    )


def _extends(character: str) -> bool:
    return (
        character == ZERO_WIDTH_JOINER
        or unicodedata.category(character) in _EXTENDS
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _is_jamo(character: str) -> bool:
    return "\u1100" <= character <= "\u11ff"


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, at: int) -> int:
    start = at
    while start and _is_flag_half(text[start - 1]):
        start -= 1
    return at - start
