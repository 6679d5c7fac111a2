"""This module is one process's system calls on the simulated disk: they fail as told, and end with the process."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from tests.simulation.disk import FOLDER, File, Storage, fault
from tests.simulation.loop import Died

__all__ = ["Process", "SimulatedSystem"]


class Process(Protocol):
    """The life that makes the calls."""

    is_dead: bool

    def alive(self) -> None:
        """Raise Died where it is over."""
        ...

    def step(self, what: str) -> None:
        """Pass one moment at which it may die, before an effect."""
        ...

    def note(self, what: str, *details: object) -> None:
        """Add a line to the playbook."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """What `scandir` tells of a file."""

    name: str
    _file: File

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        del follow_symlinks
        return True

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        del follow_symlinks
        return _stat(self._file)


class SimulatedSystem:
    """`agentd.transcript.file_disk.System`; the faults are the storage's."""

    def __init__(self, storage: Storage, process: Process, spoiled: Callable[[str], None]) -> None:
        """Call `spoiled` with a file's name whenever a call fails for a reason that is not the caller's."""
        self._storage = storage
        self._process = process
        self._spoiled = spoiled
        self._open: dict[int, tuple[str, File] | None] = {}
        self._fds = itertools.count(3)

    def open(self, path: Path | str, flags: int, mode: int) -> int:
        """Open a file of the folder, or the folder."""
        del mode
        path = Path(path)
        self._process.alive()
        fd = next(self._fds)
        if path == FOLDER:
            self._open[fd] = None
            return fd
        name = path.name
        if path.parent != FOLDER:
            raise fault(errno.ENOENT, str(path))
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        self._may_fail("open" if writes else "read", name)
        if writes and name in self._storage.faults.refuses_writing:
            raise self._spoil(errno.EACCES, name, "open")
        if name not in self._storage.names:
            if not flags & os.O_CREAT:
                raise fault(errno.ENOENT, name)
            self._process.step("create")
            if self._storage.faults.is_full and self._storage.dice.random() < 0.3:
                raise self._spoil(errno.ENOSPC, name, "create")
            self._storage.create(name)
        file = self._storage.names[name]
        if flags & os.O_TRUNC and file.content:
            file.cut(0)
        self._open[fd] = name, file
        return fd

    def close(self, fd: int) -> None:
        """Forget a descriptor."""
        del self._open[fd]

    def fstat(self, fd: int) -> os.stat_result:
        """Tell the length."""
        self._process.alive()
        return _stat(self._of(fd)[1])

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read what is seen now."""
        self._process.alive()
        name, file = self._of(fd)
        self._may_fail("pread", name)
        return bytes(file.content[offset : offset + length])

    def write(self, fd: int, payload: memoryview) -> int:
        """Append all, or a part; a process that dies in the middle leaves a part."""
        self._process.alive()
        (name, file), whole = self._of(fd), bytes(payload)
        dice, faults = self._storage.dice, self._storage.faults
        try:
            self._process.step("write")
        except Died:
            # The last thing that a process does may be half of it.
            file.write(whole[: dice.choice((0, dice.randint(0, len(whole))))])
            raise
        self._may_fail("write", name)
        if faults.is_full:
            taken = dice.randint(0, len(whole) - 1) if dice.random() < 0.3 else 0
            if not taken:
                raise self._spoil(errno.ENOSPC, name, "write")
            whole = whole[:taken]
        elif faults.short_writes and dice.random() < faults.short_writes:
            whole = whole[: dice.randint(1, len(whole))]
        file.write(whole)
        self._process.note("write", name, whole)
        return len(whole)

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut a file."""
        name, file = self._of(fd)
        self._process.step("truncate")
        self._may_fail("truncate", name)
        file.cut(length)
        self._process.note("truncate", name, length)

    def fsync(self, fd: int) -> None:
        """Make sure of a file, or of the folder's names."""
        opened = self._open[fd]
        self._process.step("flush")
        if opened is None:
            self._may_fail("flush the folder", "the folder")
            self.flush_folder()
            return
        name, file = opened
        try:
            self._may_fail("flush", name)
        except OSError:
            if self._storage.dice.random() < 0.5:
                file.lose()
            raise
        self.flush_file(file)

    def scandir(self, path: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """List the folder."""
        self._process.alive()
        self._may_fail("scandir", path.name)
        entries = [_Entry(name, file) for name, file in self._storage.names.items()]
        return cast("AbstractContextManager[Iterator[os.DirEntry[str]]]", _listed(entries))

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name."""
        self._process.step("rename")
        self._may_fail("rename", path.name)
        if path.name not in self._storage.names:
            raise fault(errno.ENOENT, path.name)
        self._storage.rename(path.name, to.name)
        self._process.note("rename", path.name, to.name)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        self._process.step("unlink")
        self._may_fail("unlink", path.name)
        if path.name not in self._storage.names:
            raise fault(errno.ENOENT, path.name)
        self._storage.unlink(path.name)
        self._process.note("unlink", path.name)

    def flush_file(self, file: File) -> None:
        """Make sure of a file's bytes."""
        file.flush()

    def flush_folder(self) -> None:
        """Make sure of the folder's names."""
        self._storage.flush_folder()

    def _of(self, fd: int) -> tuple[str, File]:
        opened = self._open[fd]
        if opened is None:
            raise fault(errno.EISDIR, str(FOLDER))
        return opened

    def _may_fail(self, call: str, name: str) -> None:
        code = self._storage.faults.once.pop(call, None)
        if code is not None:
            raise self._spoil(code, name, call)

    def _spoil(self, code: int, name: str, call: str) -> OSError:
        self._spoiled(name)
        self._process.note("fault", call, name, errno.errorcode[code])
        return fault(code, name)


def _stat(file: File) -> os.stat_result:
    size = len(file.content)
    fields = (stat.S_IFREG | 0o600, file.number, 1, 1, 0, 0, size, 0, 0, 0)
    return os.stat_result(fields, {"st_ctime_ns": file.number << 32 | file.changes})


@contextmanager
def _listed(entries: list[_Entry]) -> Iterator[Iterator[_Entry]]:
    yield iter(entries)
