"""The port to where session files are kept, as bytes; behind it are real files, or memory.

Reading walks backwards from the end, so that its cost is what is read, not the file's length.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

__all__ = ["START_BYTES", "Aside", "Disk", "Stamp", "Tail", "Write", "free_name"]

START_BYTES = 64 * 1024
"""What is read of a file's start to learn whose it is."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to append to one file whose committed length is `offset`."""

    path: Path
    offset: int
    payload: bytes
    cut_first: bool = False
    """Whether bytes of a failed write may stand after `offset` and must go."""


Aside = Literal["copy", "copy or rename", "rename"]
"""What becomes of a file that is set aside; a copy needs a file that can be read."""


class Stamp(NamedTuple):
    """What changes whenever a file does: its length, and when it was last changed, by the system's own clock."""

    size: int
    ctime_ns: int


class Tail(NamedTuple):
    """The last bytes of a file, and its stamp from before they were read."""

    stamp: Stamp
    content: bytes


class Contents(Protocol):
    """The bytes of session files; every method may block."""

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append and flush each; return per file None or why it failed, and then none of its bytes count."""
        ...

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first, without their newlines."""
        ...

    def start(self, path: Path) -> tuple[int, bytes]:
        """Return the length of a file and its first `START_BYTES` bytes; zero and nothing where there is none."""
        ...

    def tail(self, folder: Path, name: str, most: int) -> Tail:
        """Return so many of the last bytes of a file at most."""
        ...


class Names(Protocol):
    """Which session files there are; every method may block."""

    def names(self, folder: Path) -> list[str]:
        """Return the names of the session files of a folder."""
        ...

    def stamps(self, folder: Path) -> dict[str, Stamp]:
        """Return the same names, each with the stamp of its file, none of which is opened."""
        ...

    def set_aside(self, path: Path, suffix: str, how: Aside) -> tuple[Path, bool]:
        """Keep a file under its name with this suffix (and a number, where there is one already), and free its own.

        With `copy`, a file that can be read whole is replaced by its copy, byte for byte; with `rename` none is.
        Return the other name, and whether there is a copy. Raises OSError, and then the file is what it was.
        """
        ...


class Spans(Protocol):
    """The bytes of session files from the front; every method may block."""

    def blocks(self, path: Path, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a file from `start` to `end`, block by block. Raises OSError, also where some are gone."""
        ...


class Disk(Contents, Names, Spans, Protocol):
    """Where the store keeps its sessions."""


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)
