"""What may pass between a terminal and the daemon: pure functions on text."""

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
    """Return what a terminal may be given: a model's control characters, escape sequences too, are data."""
    return "".join(character for character in text if character in "\n\t" or unicodedata.category(character) != "Cc")
