"""Writes and flushes (fsync) session files on a real disk; its calls block, so they run on the store's own threads.

A commit writes and flushes several files as one job. If a file fails, it is cut back to its old length, through a new
descriptor (after a failed flush the old one may report false success); the other files are not affected. A new file's
folder is flushed too. What an earlier run left is flushed once before it is read: that run may have been killed between
writing and flushing, and what can be read counts as accepted.

A file that is set aside keeps its bytes under another name. Its copy takes its place by a rename, so that no crash
leaves a session without its history; no copy has its final name before it is whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from agentd.transcript.disk import START_BYTES, Aside, Stamp, Tail, Write, free_name
from agentd.transcript.faults import FileChanged, is_of_one_file

__all__ = ["FLUSH_THREADS", "FileDisk", "System", "make_folder"]

FLUSH_THREADS = 8
"""Flushes at the same time share the disk's cost: measured, 6 threads do 3 to 10 times what one does."""

READ_BLOCK_BYTES = 64 * 1024

_SESSION_FILE = os.O_NOFOLLOW | os.O_NONBLOCK
"""Links are no session files; O_NONBLOCK keeps a pipe, which is none either, from blocking a thread."""


class System(Protocol):
    """The calls of the module `os` that session files need: here tests simulate a disk."""

    def open(self, path: Path | str, flags: int, mode: int) -> int: ...
    def close(self, fd: int) -> None: ...
    def fstat(self, fd: int) -> os.stat_result: ...
    def pread(self, fd: int, length: int, offset: int) -> bytes: ...
    def write(self, fd: int, payload: memoryview) -> int: ...
    def ftruncate(self, fd: int, length: int) -> None: ...
    def fsync(self, fd: int) -> None: ...
    def scandir(self, path: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]: ...
    def rename(self, path: Path, to: Path) -> None: ...
    def unlink(self, path: Path) -> None: ...


class FileDisk:
    """The disk of the file system."""

    def __init__(self, flushers: Executor, system: System = os) -> None:
        """Use these threads for flushing if a commit has several files."""
        self._flushers = flushers
        self._os = system
        self._flushed: set[Path] = set()
        """Folders and files whose names and bytes are known to be on disk.

        What a killed run wrote without flushing can be read, but a power cut would lose it.
        """
        self._doubtful: set[Path] = set()

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append to and flush each file, and the folders of new ones, all at the same time so that they share
        the cost.
        """
        for folder in {write.path.parent for write in writes if write.offset > 0} - self._flushed:
            fault = _flush_folder(folder, self._os)
            if fault is not None:
                return [fault] * len(writes)
            self._flushed.add(folder)
        unborn = {write.path: fault for write in writes if write.offset == 0 and (fault := self._make(write.path))}
        born = list({write.path.parent for write in writes if write.offset == 0 and write.path not in unborn})
        jobs = [partial(self._commit_one, write) for write in writes if write.path not in unborn]
        jobs += [partial(_flush_folder, folder, self._os) for folder in born]
        ended = iter(list(self._flushers.map(_call, jobs)) if len(jobs) > 1 else [job() for job in jobs])
        faults = [unborn.get(write.path) or next(ended) for write in writes]
        lost = {folder: fault for folder, fault in zip(born, ended, strict=True) if fault}
        self._flushed.update(folder for folder in born if folder not in lost)
        return [self._undo_birth(write, lost) or fault for write, fault in zip(writes, faults, strict=True)]

    def _make(self, path: Path) -> OSError | None:
        """Create a file if it does not exist: once it has its name, its folder can be flushed at the same time."""
        try:
            with _opened(self._os, path, os.O_WRONLY | os.O_CREAT | _SESSION_FILE):
                return None
        except OSError as fault:
            return fault

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
        """Return the length of a file and its first bytes; what an earlier run left unflushed is flushed first."""
        try:
            with _opened(self._os, path, os.O_RDONLY | _SESSION_FILE) as fd:
                length, content = self._os.fstat(fd).st_size, self._os.pread(fd, START_BYTES, 0)
                if length and path not in self._flushed:
                    self._flush_left(fd, path)
        except FileNotFoundError:
            return 0, b""
        if length:
            fault = None if path.parent in self._flushed else _flush_folder(path.parent, self._os)
            if fault is not None:
                raise fault
            self._flushed |= {path, path.parent}
        return length, content

    def _flush_left(self, fd: int, path: Path) -> None:
        """Flush what an earlier run left. After a failed flush the next one may falsely succeed: only a copy helps."""
        if path in self._doubtful:
            raise OSError(errno.EIO, "it could not be flushed", str(path))
        try:
            self._os.fsync(fd)
        except OSError:
            self._doubtful.add(path)
            raise

    def tail(self, folder: Path, name: str, most: int) -> Tail:
        """Return the last bytes of a file."""
        # No Path and no context manager here, for speed: ten thousand files are looked at before the daemon is ready.
        fd = self._os.open(f"{folder}/{name}", os.O_RDONLY | _SESSION_FILE | os.O_CLOEXEC, 0)
        try:
            found = self._os.fstat(fd)
            content = self._os.pread(fd, most, max(found.st_size - most, 0))
        finally:
            self._os.close(fd)
        return Tail(Stamp(found.st_size, found.st_ctime_ns), content)

    def names(self, folder: Path) -> list[str]:
        """Return every `*.jsonl` file."""
        with self._os.scandir(folder) as entries:
            return [entry.name for entry in _session_files(entries)]

    def stamps(self, folder: Path) -> dict[str, Stamp]:
        """Return the stamp of every `*.jsonl` file."""
        with self._os.scandir(folder) as entries:
            found = ((entry.name, entry.stat(follow_symlinks=False)) for entry in _session_files(entries))
            return {name: Stamp(status.st_size, status.st_ctime_ns) for name, status in found}

    def set_aside(self, path: Path, suffix: str, how: Aside) -> tuple[Path, bool]:
        """Rename a file, or keep one copy beside it and put another in its place.

        If the folder cannot be flushed now, the next commit does that first.
        """
        with self._os.scandir(path.parent) as entries:
            taken = {entry.name for entry in entries}
        aside, fresh = path.with_name(free_name(path.name + suffix, taken)), path.with_name(f"{path.name}.fresh")
        if fresh.name in taken:
            with suppress(OSError):
                self._os.unlink(fresh)  # an incomplete copy, of a run that was killed
        copied = how != "rename" and self._can_be_read(path, or_raise=how == "copy")
        if copied:
            self._copy(path, aside, fresh)
        else:
            self._os.rename(path, aside)
        self._flushed -= {path, path.parent}
        self._doubtful.discard(path)
        if _flush_folder(path.parent, self._os) is None:
            self._flushed.add(path.parent)
        return aside, copied

    def _can_be_read(self, path: Path, *, or_raise: bool) -> bool:
        try:
            for _ in self._all_blocks(path):
                pass
        except OSError as fault:
            # A fault that concerns every file says nothing about this one: its history is not abandoned for that.
            if or_raise or not is_of_one_file(fault):
                raise
            return False
        return True

    def _copy(self, path: Path, aside: Path, fresh: Path) -> None:
        """Make a copy of a file beside it, and another in its place; each is written and flushed under the name
        `fresh`.
        """
        try:
            for target in (aside, path):
                with _opened(self._os, fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SESSION_FILE) as fd:
                    for block in self._all_blocks(path):
                        self._write_all(fd, block)
                    self._os.fsync(fd)
                self._os.rename(fresh, target)
        except OSError:
            for target in (aside, fresh):
                with suppress(OSError):
                    self._os.unlink(target)
            raise

    def blocks(self, path: Path, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a span of a file."""
        with _opened(self._os, path, os.O_RDONLY | _SESSION_FILE) as fd:
            while start < end and (block := self._os.pread(fd, min(READ_BLOCK_BYTES, end - start), start)):
                yield block
                start += len(block)
        if start < end:
            raise FileChanged(f"{path.name} became shorter while it was read")

    def _all_blocks(self, path: Path) -> Iterator[bytes]:
        with _opened(self._os, path, os.O_RDONLY | _SESSION_FILE) as fd:
            length, start = self._os.fstat(fd).st_size, 0
            while block := self._os.pread(fd, READ_BLOCK_BYTES, start):
                yield block
                start += len(block)
            if start < length:
                raise FileChanged(f"{path.name} became shorter while it was copied")

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
        """Cut a new file back if its folder could not be flushed: after a power cut it would not exist."""
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
        """Remove what a failed write left; if that fails too, the next write does it first (`cut_first`)."""
        try:
            with _opened(self._os, write.path, os.O_WRONLY | _SESSION_FILE) as fd:
                self._os.ftruncate(fd, write.offset)
        except OSError:
            return


def make_folder(folder: Path) -> None:
    """Make a folder (0700) and its missing parents, and flush each name: files in it must survive a power cut."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing or [folder]):
        place.mkdir(mode=0o700, exist_ok=True)
        fault = _flush_folder(place.parent, os)
        if fault is not None:
            raise fault
    folder.chmod(0o700)


def _session_files(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    return (entry for entry in entries if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False))


@contextmanager
def _opened(system: System, path: Path, flags: int) -> Iterator[int]:
    fd = system.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        system.close(fd)


def _call(job: Callable[[], OSError | None]) -> OSError | None:
    return job()


def _flush_folder(folder: Path, system: System) -> OSError | None:
    try:
        with _opened(system, folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
            system.fsync(fd)
    except OSError as fault:
        return fault
    return None
