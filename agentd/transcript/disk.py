"""Session files as bytes: what blocks, and is therefore run on the store's own threads.

A commit writes and flushes several files as one job. A file that fails is cut back to where it was, on a new
descriptor (after a failed flush the old one may lie); the others are not touched by that. A new file's folder is
flushed too. Reading walks backwards from the end, so that its cost is what is read, not the file's length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Disk", "FileChanged", "FileDisk", "Write"]

FLUSH_THREADS = 8
"""Flushes under way together share the disk's cost: measured, 6 threads do 3 to 10 times what one does."""

READ_BLOCK_BYTES = 64 * 1024


class FileChanged(OSError):
    """The file is not as long as its only writer left it."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to append to one file whose committed length is `offset`."""

    path: Path
    offset: int
    payload: bytes
    cut_first: bool = False
    """Whether bytes of a failed write may stand after `offset` and must go."""


class Disk(Protocol):
    """Where the store keeps its bytes; every method may block."""

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append and flush each; return per file None or why it failed, and then none of its bytes count."""
        ...

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first, without their newlines."""
        ...

    def first_line(self, path: Path) -> bytes:
        """Return the first line without its newline; empty where there is no file."""
        ...

    def lengths(self, folder: Path) -> dict[Path, int]:
        """Return the length in bytes of each session file of a folder."""
        ...


class FileDisk:
    """The real one."""

    def __init__(self, flushers: ThreadPoolExecutor) -> None:
        """Flush on these threads where a commit has several files."""
        self._flushers = flushers

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append and flush each, side by side; then flush the folders of the new ones."""
        if len(writes) == 1:
            faults = [self._commit_one(writes[0])]
        else:
            faults = list(self._flushers.map(self._commit_one, writes))
        results = list(zip(writes, faults, strict=True))
        born = {write.path.parent for write, fault in results if write.offset == 0 and fault is None}
        lost = {folder: fault for folder in born if (fault := _flush_folder(folder))}
        return [self._undo_birth(write, lost) or fault for write, fault in results]

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first, read in blocks as they are asked for."""
        pieces: list[bytes] = []
        with _opened(path, os.O_RDONLY) as fd:
            while end > 0:
                size = min(READ_BLOCK_BYTES, end)
                end -= size
                head, *lines = os.pread(fd, size, end).split(b"\n")
                if lines:
                    yield lines[-1] + b"".join(reversed(pieces))
                    yield from reversed(lines[:-1])
                    pieces.clear()
                pieces.append(head)
        yield b"".join(reversed(pieces))

    def first_line(self, path: Path) -> bytes:
        """Return the first line, up to a bound that no header reaches."""
        try:
            with _opened(path, os.O_RDONLY) as fd:
                return os.pread(fd, READ_BLOCK_BYTES, 0).split(b"\n", 1)[0]
        except FileNotFoundError:
            return b""

    def lengths(self, folder: Path) -> dict[Path, int]:
        """Return the length of every `*.jsonl` file; links are no session files."""
        found = (entry for entry in os.scandir(folder) if entry.name.endswith(".jsonl"))
        return {folder / entry.name: entry.stat().st_size for entry in found if entry.is_file(follow_symlinks=False)}

    @staticmethod
    def _undo_birth(write: Write, lost: Mapping[Path, OSError]) -> OSError | None:
        """A file whose name is not on disk does not exist: take its bytes back."""
        fault = lost.get(write.path.parent) if write.offset == 0 else None
        if fault is not None:
            _cut_back(write)
        return fault

    @staticmethod
    def _commit_one(write: Write) -> OSError | None:
        try:
            with _opened(write.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as fd:
                _prepare(fd, write)
                _write_all(fd, write.payload)
                os.fsync(fd)
        except FileChanged as fault:
            return fault
        except OSError as fault:
            _cut_back(write)
            return fault
        return None


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _prepare(fd: int, write: Write) -> None:
    length = os.fstat(fd).st_size
    if length == write.offset:
        return
    if length < write.offset or not write.cut_first:
        raise FileChanged(f"{write.path.name} has {length} bytes, and {write.offset} were written")
    os.ftruncate(fd, write.offset)


def _write_all(fd: int, payload: bytes) -> None:
    remaining = memoryview(payload)
    while remaining:
        remaining = remaining[os.write(fd, remaining) :]


def _cut_back(write: Write) -> None:
    """Remove what a failed write left; where that fails too, the next write does it first (`cut_first`)."""
    try:
        with _opened(write.path, os.O_WRONLY) as fd:
            os.ftruncate(fd, write.offset)
    except OSError:
        return


def _flush_folder(folder: Path) -> OSError | None:
    try:
        with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
            os.fsync(fd)
    except OSError as fault:
        return fault
    return None
