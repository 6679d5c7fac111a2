"""What goes to a person's screen: text without anything that could steer it, and JSON that is safe everywhere."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable

__all__ = ["clean", "print_array", "print_lines"]

_STEERING = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of writing or end a line, and lone surrogates."""


def clean(text: str) -> str:
    """Return one line of text whose control characters are replaced."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    "))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are clean; what the screen's encoding lacks is replaced."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.writelines(f"{line}\n" for line in lines)


def print_array(items: Iterable[object]) -> None:
    """Print a JSON array, an item a line, as they come; other than ASCII is escaped."""
    separator = "["
    for item in items:
        sys.stdout.write(f"{separator}{json.dumps(item)}\n")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "]\n")
