"""The port to the storage of session files, as bytes; behind it are real files (`FileDisk`) or memory (`MemoryDisk`).

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
"""How much of a file's start is read, to learn which session's it is."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to append to one file whose committed length is `offset`."""

    path: Path
    offset: int
    payload: bytes
    cut_first: bool = False
    """Whether bytes of an earlier, failed write may stand after `offset` and must be cut off first."""


Aside = Literal["copy", "copy or rename", "rename"]
"""How a file may be set aside; a copy is possible only of a file that can be read."""


class Stamp(NamedTuple):
    """What changes whenever a file does: its length, and its last change (ctime) by the system's clock."""

    size: int
    ctime_ns: int


class Tail(NamedTuple):
    """The last bytes of a file, and its stamp from before they were read."""

    stamp: Stamp
    content: bytes


class Contents(Protocol):
    """The bytes of session files; every method may block."""

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append and flush each; return per file None or the fault, and then none of its bytes count."""
        ...

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first, without their newlines."""
        ...

    def start(self, path: Path) -> tuple[int, bytes]:
        """Return the length of a file and its first `START_BYTES` bytes; zero and nothing if there is no file."""
        ...

    def tail(self, folder: Path, name: str, most: int) -> Tail:
        """Return at most so many of a file's last bytes."""
        ...


class Names(Protocol):
    """Lists the session files; every method may block."""

    def names(self, folder: Path) -> list[str]:
        """Return the names of the session files of a folder."""
        ...

    def stamps(self, folder: Path) -> dict[str, Stamp]:
        """Return the stamp of every session file of a folder, by name, without opening any."""
        ...

    def set_aside(self, path: Path, suffix: str, how: Aside) -> tuple[Path, bool]:
        """Keep a file under its name plus this suffix (and a number, if that is taken), and free its own name.

        With `copy`, a file that can be read whole is replaced by its copy, byte for byte; with `rename` none is. Return
        the other name, and whether there is a copy. Raises OSError, and then the file is what it was.
        """
        ...


class Spans(Protocol):
    """Reads session files from the front; every method may block."""

    def blocks(self, path: Path, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a file from `start` to `end`, block by block. Raises OSError, also if some are missing."""
        ...


class Disk(Contents, Names, Spans, Protocol):
    """Where the store keeps its sessions."""


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name, with a number appended if it is taken."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)
