"""This module cleans the console's text: invalid bytes on the way in, control characters on the way out."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean_input", "decode_line", "printable"]

REPLACEMENT = "\ufffd"

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def decode_line(line: bytes) -> str:
    """Return a line of input without its end; bytes that are no UTF-8 become U+FFFD."""
    return clean_input(line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace"))


def clean_input(text: str) -> str:
    """Replace what no transcript, database or model can carry: lone surrogates and NUL become U+FFFD."""
    return _UNWRITABLE.sub(REPLACEMENT, text)


def printable(text: str) -> str:
    """Return a text without control characters other than newline and tab: no escape sequence reaches a terminal."""
    return "".join(character for character in text if character in "\n\t" or unicodedata.category(character) != "Cc")
