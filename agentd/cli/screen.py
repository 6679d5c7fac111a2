"""What goes to a person's screen: text without anything that could steer it, and JSON that is safe everywhere."""

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
"""Control characters, those that turn the direction of writing or end a line, and lone surrogates."""


def clean(text: str) -> str:
    """Return one line of text whose control characters are replaced."""
    if text.isprintable():  # the usual case, and told at once: nothing that steers is printable
        return text
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    "))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are clean; what the screen's encoding lacks is replaced."""
    print_text(f"{line}\n" for line in lines)


def print_text(parts: Iterable[str]) -> None:
    """Print parts of clean text that have their newlines already; what the screen's encoding lacks is replaced."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    with _written():
        sys.stdout.writelines(parts)


def print_array(items: Iterable[object]) -> None:
    """Print a JSON array, an item a line, as they come; other than ASCII is escaped."""
    print_array_text(f",{json.dumps(item)}\n" for item in items)


def print_array_text(parts: Iterable[str]) -> None:
    """Print a JSON array whose items are written already, each a line that begins with a comma."""
    is_empty = True
    with _written():
        for part in filter(None, parts):
            sys.stdout.write(f"[{part[1:]}" if is_empty else part)
            is_empty = False
        sys.stdout.write("[]\n" if is_empty else "]\n")


@contextmanager
def _written() -> Iterator[None]:
    """See to it that what is printed in the block is out. Raises AgentdError where it cannot be, on a full disk."""
    try:
        yield
        sys.stdout.flush()
    except OSError as fault:
        if fault.errno == errno.EPIPE:  # who read it has enough
            raise
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what is left of it would be tried again at the end
        raise AgentdError(f"the output cannot be written: {fault.strerror}") from fault
