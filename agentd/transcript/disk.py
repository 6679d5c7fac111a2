"""Session files as bytes: what blocks, and is therefore run on the store's own threads.

A commit writes and flushes several files as one job. A file that fails is cut back to where it was, on a new
descriptor (after a failed flush the old one may lie); the others are not touched by that. A new file's folder is
flushed too. Reading walks backwards from the end, so that its cost is what is read, not the file's length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["START_BYTES", "Disk", "FileChanged", "FileDisk", "System", "Write", "make_folder"]

FLUSH_THREADS = 8
"""Flushes under way together share the disk's cost: measured, 6 threads do 3 to 10 times what one does."""

READ_BLOCK_BYTES = 64 * 1024

START_BYTES = 64 * 1024
"""What is read of a file's start to learn whose it is."""

_SESSION_FILE = os.O_NOFOLLOW | os.O_NONBLOCK
"""Links are no session files; a pipe, which is none either, must not make a thread wait for its other end."""


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

    def start(self, path: Path) -> tuple[int, bytes]:
        """Return the length of a file and its first `START_BYTES` bytes; zero and nothing where there is none."""
        ...

    def files(self, folder: Path) -> list[Path]:
        """Return the session files of a folder."""
        ...


class System(Protocol):
    """The calls of the module `os` that session files need: the boundary at which a disk can be simulated."""

    def open(self, path: Path, flags: int, mode: int) -> int: ...
    def close(self, fd: int) -> None: ...
    def fstat(self, fd: int) -> os.stat_result: ...
    def pread(self, fd: int, length: int, offset: int) -> bytes: ...
    def write(self, fd: int, payload: memoryview) -> int: ...
    def ftruncate(self, fd: int, length: int) -> None: ...
    def fsync(self, fd: int) -> None: ...
    def scandir(self, path: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]: ...


class FileDisk:
    """The real one."""

    def __init__(self, flushers: Executor, system: System = os) -> None:
        """Flush on these threads where a commit has several files."""
        self._flushers = flushers
        self._os = system

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append and flush each, side by side; then flush the folders of the new ones."""
        if len(writes) == 1:
            faults = [self._commit_one(writes[0])]
        else:
            faults = list(self._flushers.map(self._commit_one, writes))
        results = list(zip(writes, faults, strict=True))
        born = {write.path.parent for write, fault in results if write.offset == 0 and fault is None}
        lost = {folder: fault for folder in born if (fault := _flush_folder(folder, self._os))}
        return [self._undo_birth(write, lost) or fault for write, fault in results]

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first, read in blocks as they are asked for."""
        pieces: list[bytes] = []
        with _opened(self._os, path, os.O_RDONLY | _SESSION_FILE) as fd:
            while end > 0:
                size = min(READ_BLOCK_BYTES, end)
                end -= size
                head, *lines = self._os.pread(fd, size, end).split(b"\n")
                if lines:
                    yield lines[-1] + b"".join(reversed(pieces))
                    yield from reversed(lines[:-1])
                    pieces.clear()
                pieces.append(head)
        yield b"".join(reversed(pieces))

    def start(self, path: Path) -> tuple[int, bytes]:
        """Return the length of a file and its first bytes."""
        try:
            with _opened(self._os, path, os.O_RDONLY | _SESSION_FILE) as fd:
                return self._os.fstat(fd).st_size, self._os.pread(fd, START_BYTES, 0)
        except FileNotFoundError:
            return 0, b""

    def files(self, folder: Path) -> list[Path]:
        """Return every `*.jsonl` file."""
        with self._os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name.endswith(".jsonl")]
        return [folder / entry.name for entry in found if entry.is_file(follow_symlinks=False)]

    def _commit_one(self, write: Write) -> OSError | None:
        began = False
        try:
            with _opened(self._os, write.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _SESSION_FILE) as fd:
                self._prepare(fd, write)
                began = True
                self._write_all(fd, write.payload)
                self._os.fsync(fd)
        except OSError as fault:
            if began:
                self._cut_back(write)
            return fault
        return None

    def _undo_birth(self, write: Write, lost: Mapping[Path, OSError]) -> OSError | None:
        """A file whose name is not on disk does not exist: take its bytes back."""
        fault = lost.get(write.path.parent) if write.offset == 0 else None
        if fault is not None:
            self._cut_back(write)
        return fault

    def _prepare(self, fd: int, write: Write) -> None:
        length = self._os.fstat(fd).st_size
        if length == write.offset:
            return
        if length < write.offset or not write.cut_first:
            raise FileChanged(f"{write.path.name} has {length} bytes, and {write.offset} were written")
        self._os.ftruncate(fd, write.offset)

    def _write_all(self, fd: int, payload: bytes) -> None:
        remaining = memoryview(payload)
        while remaining:
            remaining = remaining[self._os.write(fd, remaining) :]

    def _cut_back(self, write: Write) -> None:
        """Remove what a failed write left; where that fails too, the next write does it first (`cut_first`)."""
        try:
            with _opened(self._os, write.path, os.O_WRONLY | _SESSION_FILE) as fd:
                self._os.ftruncate(fd, write.offset)
        except OSError:
            return


def make_folder(folder: Path) -> None:
    """Make a folder (0700) and those above it, and flush each name: files in it must outlive a power cut."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing or [folder]):
        place.mkdir(mode=0o700, exist_ok=True)
        fault = _flush_folder(place.parent, os)
        if fault is not None:
            raise fault
    folder.chmod(0o700)


@contextmanager
def _opened(system: System, path: Path, flags: int) -> Iterator[int]:
    fd = system.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        system.close(fd)


def _flush_folder(folder: Path, system: System) -> OSError | None:
    try:
        with _opened(system, folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
            system.fsync(fd)
    except OSError as fault:
        return fault
    return None
