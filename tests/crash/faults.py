"""This module injects faults below the disk: system calls on session files fail, or do half of their work."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from agentd.transcript.file_disk import System
from tests.crash.steps import Steps


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the module `os` goes wrong, from its `first` time on, so many times."""

    call: str
    code: int = 0
    """The error; 0: the call does half of its work, and says so (a short write)."""
    first: int = 1
    times: int = 1
    file: str = ""
    """Only where the path contains this."""
    only_old: bool = False
    """Only of files that were there when the run began: what takes their place is sound."""

    def hits(self, number: int) -> bool:
        """Tell whether the call of this number goes wrong."""
        return self.first <= number < self.first + self.times


def with_faults(faults: tuple[Fault, ...], folder: Path, steps: Steps) -> System:
    """Return the module `os`, with faults and a step before each change; what is in the folder now is old."""
    old = [path.stat().st_ino for path in folder.glob("*.jsonl")]
    return cast("System", _FaultySystem(faults, old, steps))


class _FaultySystem:
    def __init__(self, faults: tuple[Fault, ...], old: Iterable[int], steps: Steps) -> None:
        """Count each fault's calls for itself."""
        self._old = frozenset(old)
        self._steps = steps
        self._faults = faults
        self._calls: Counter[int] = Counter()
        self._paths: dict[int, str] = {}

    def open(self, path: Path | str, flags: int, mode: int) -> int:
        """Open, and remember whose descriptor it is."""
        path = Path(path)
        self._check("open" if flags & (os.O_WRONLY | os.O_RDWR) else "read", str(path))
        fd = os.open(path, flags, mode)
        self._paths[fd] = str(path)
        return fd

    def fstat(self, fd: int) -> os.stat_result:
        """Say how long a file is."""
        self._check("fstat", self._paths[fd])
        return os.fstat(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Read."""
        self._check("pread", self._paths[fd])
        return os.pread(fd, length, offset)

    def write(self, fd: int, payload: memoryview) -> int:
        """Write all, or half."""
        self._steps.pass_by("before a write")
        is_short = self._check("write", self._paths[fd])
        return os.write(fd, payload[: max(len(payload) // 2, 1)] if is_short else payload)

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut."""
        self._steps.pass_by("before a cut")
        self._check("ftruncate", self._paths[fd])
        os.ftruncate(fd, length)

    def fsync(self, fd: int) -> None:
        """Flush."""
        self._steps.pass_by("before a flush")
        self._check("fsync", self._paths[fd])
        os.fsync(fd)

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name."""
        self._steps.pass_by("before a rename")
        os.rename(path, to)
        self._steps.pass_by("after a rename")

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(os, name)

    def _is_old(self, path: str) -> bool:
        """Tell whether a file was there when the run began."""
        try:
            return os.stat(path).st_ino in self._old
        except FileNotFoundError:
            return False

    def _check(self, call: str, path: str) -> bool:
        """Raise what the call is to fail with; return whether it is to do half."""
        is_short = False
        for index, fault in enumerate(self._faults):
            if fault.call != call or fault.file not in path or (fault.only_old and not self._is_old(path)):
                continue
            self._calls[index] += 1
            if fault.hits(self._calls[index]):
                if fault.code:
                    raise OSError(fault.code, os.strerror(fault.code), path)
                is_short = True
        return is_short
