"""Prints text and JSON to the terminal safely: control characters replaced, JSON in ASCII."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from agentd.errors import AgentdError

__all__ = ["clean", "print_array", "print_array_text", "print_lines", "print_text"]

_STEERING = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that change the direction of writing or end a line, and lone surrogates."""


def clean(text: str) -> str:
    """Return one line of text with its control characters replaced."""
    if text.isprintable():  # for speed: text that is all printable holds no control characters
        return text
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    "))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are clean already; characters that the screen lacks are replaced."""
    print_text(f"{line}\n" for line in lines)


def print_text(parts: Iterable[str]) -> None:
    """Print parts of clean text that include their newlines; characters that the screen lacks are replaced."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    with _written():
        sys.stdout.writelines(parts)


def print_array(items: Iterable[object]) -> None:
    """Print a JSON array, an item a line, as items come; non-ASCII is escaped."""
    print_array_text(f",{json.dumps(item)}\n" for item in items)


def print_array_text(parts: Iterable[str]) -> None:
    """Print a JSON array of items that are encoded already, each a line that begins with a comma."""
    is_empty = True
    with _written():
        for part in filter(None, parts):
            sys.stdout.write(f"[{part[1:]}" if is_empty else part)
            is_empty = False
        sys.stdout.write("[]\n" if is_empty else "]\n")


@contextmanager
def _written() -> Iterator[None]:
    """Flush what the block prints. Raises AgentdError if it cannot be written, on a full disk for instance."""
    try:
        yield
        sys.stdout.flush()
    except OSError as fault:
        if fault.errno == errno.EPIPE:  # the reader has enough
            raise
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - otherwise the rest would be tried again at exit
        raise AgentdError(f"the output cannot be written: {fault.strerror}") from fault
