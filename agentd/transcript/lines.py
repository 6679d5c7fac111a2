"""Reads a file's lines with their offsets, block by block: memory stays at one line and one block, however large the
file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["MAX_LINE_BYTES", "Line", "cut_lines", "open_plain", "read_blocks", "read_lines", "read_whole_lines"]

BLOCK_BYTES = 1 << 20

MAX_LINE_BYTES = 16 << 20
"""No record comes near this: a longer line is not read as one, and its bytes are not kept."""


class Line(NamedTuple):
    """One line without its newline; `content` is None if it is longer than any record."""

    number: int
    offset: int
    content: bytes | None
    end: int
    """Where the next line starts: after the newline, if this line has one."""
    has_newline: bool = True


class _Cutter:
    """Joins the pieces of a line that runs through several blocks."""

    def __init__(self) -> None:
        self._number, self._offset = 1, 0
        self._pieces: list[bytes] = []
        self._length = 0

    def add(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= MAX_LINE_BYTES:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def close(self, *, newline: bool = True) -> Line:
        content = b"".join(self._pieces) if self._length <= MAX_LINE_BYTES else None
        line = Line(self._number, self._offset, content, self._offset + self._length + newline, newline)
        self._number, self._offset = self._number + 1, line.end
        self._pieces, self._length = [], 0
        return line

    @property
    def is_open(self) -> bool:
        return self._length > 0


def cut_lines(blocks: Iterable[bytes]) -> Iterator[Line]:
    """Yield the lines of a file that comes in blocks, a last one without a newline included."""
    cutter = _Cutter()
    for block in blocks:
        *whole, rest = block.split(b"\n")
        for piece in whole:
            cutter.add(piece)
            yield cutter.close()
        cutter.add(rest)
    if cutter.is_open:
        yield cutter.close(newline=False)


def open_plain(path: Path) -> int:
    """Open a file for reading; a link, a pipe or a folder is refused with OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return fd


def read_blocks(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes from `start` to `end`, or to the file's present end if that is sooner."""
    fd = open_plain(path)
    try:
        length = os.fstat(fd).st_size
        end = length if end is None else min(end, length)
        while start < end and (block := os.pread(fd, min(BLOCK_BYTES, end - start), start)):
            start += len(block)
            yield block
    finally:
        os.close(fd)


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file as it is now. Raises OSError."""
    return cut_lines(read_blocks(path))


def read_whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the file in blocks that end with a whole line; lines longer than any record are left out. Raises
    OSError.
    """
    rest, too_long = b"", False
    for block in read_blocks(path):
        cut = block.rfind(b"\n") + 1
        if not cut:
            rest = b"" if too_long else rest + block
            too_long = too_long or len(rest) > MAX_LINE_BYTES
            continue
        start = block.find(b"\n") + 1 if too_long else 0
        yield rest + block[start:cut] if rest else block[start:cut]
        rest, too_long = block[cut:], False
    if rest and not too_long:
        yield rest
