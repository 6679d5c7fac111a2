"""This module is a disk with faults: it passes calls on to another disk, except for those that the test spoils."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentd.transcript.disk import Aside, Disk, Stamp, Tail, Write

__all__ = ["FakeDisk", "Gate"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a call stands still: `reached` once it does, until the test sets `opened`."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def pass_through(self) -> None:
        """Wait; fail rather than hang where the test forgot to open it."""
        self.reached.set()
        if not self.opened.wait(30):
            raise RuntimeError("the gate was never opened")


@dataclass(frozen=True, slots=True)
class _Fault:
    code: int
    leaves: int
    times: int


class FakeDisk:
    """Counts what is asked of a disk, and fails, tears or holds the next commit or reading."""

    def __init__(self, disk: Disk) -> None:
        """Pass on to `disk`."""
        self.commits: list[tuple[Path, ...]] = []
        """The files of each commit, in its order."""
        self.bytes_read = 0
        self.lines_read = 0
        self.tails_read: list[str] = []
        self._disk = disk
        self._faults: dict[Path, _Fault] = {}
        self._start_faults: dict[Path, int] = {}
        self._reading_faults: dict[Path, list[int]] = {}
        self._aside_code = 0
        self._bug: Exception | None = None
        self._commit_gate: Gate | None = None
        self._read_gate: Gate | None = None
        self._lines_gate: Gate | None = None

    def fail_next(self, path: Path, code: int, *, leaves: int = 0, times: int = 1) -> None:
        """Let the next commits of a file fail; so many of the bytes stay behind, as after a cut-back that failed."""
        self._faults[path] = _Fault(code, leaves, times)

    def fail_start(self, path: Path, code: int) -> None:
        """Let a file be one that cannot be read."""
        self._start_faults[path] = code

    def fail_reading(self, path: Path, *codes: int) -> None:
        """Let the next readings of a file fail, each with its code; those after them go well."""
        self._reading_faults[path] = list(codes)

    def fail_next_aside(self, code: int) -> None:
        """Let the next file that is to be set aside stay where it is."""
        self._aside_code = code

    def heal(self) -> None:
        """Let every file be read again."""
        self._start_faults.clear()

    def break_next(self, bug: Exception) -> None:
        """Let the next commit as a whole end in what is no fault of a disk."""
        self._bug = bug

    def hold_commit(self) -> Gate:
        """Let the next commit stand still."""
        self._commit_gate = Gate()
        return self._commit_gate

    def hold_reading(self) -> Gate:
        """Let the next reading stand still."""
        self._read_gate = Gate()
        return self._read_gate

    def hold_lines(self) -> Gate:
        """Let the next reading of lines stand still."""
        self._lines_gate = Gate()
        return self._lines_gate

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Commit what is not to fail."""
        gate, self._commit_gate = self._commit_gate, None
        if gate is not None:
            gate.pass_through()
        bug, self._bug = self._bug, None
        if bug is not None:
            raise bug
        self.commits.append(tuple(write.path for write in writes))
        faults = {write.path: self._spoil(write) for write in writes if write.path in self._faults}
        sound = [write for write in writes if write.path not in faults]
        outcome: dict[Path, OSError | None] = dict(
            zip((write.path for write in sound), self._disk.commit(sound), strict=True)
        )
        return [{**outcome, **faults}[write.path] for write in writes]

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Count the lines that are asked for."""
        gate, self._lines_gate = self._lines_gate, None
        if gate is not None:
            gate.pass_through()
        self._fail_reading(path)
        for line in self._disk.lines_backwards(path, end):
            self.lines_read += 1
            self.bytes_read += len(line) + 1
            yield line

    def blocks(self, path: Path, start: int, end: int) -> Iterator[bytes]:
        """Pass on."""
        self._fail_reading(path)
        for block in self._disk.blocks(path, start, end):
            self.bytes_read += len(block)
            yield block

    def start(self, path: Path) -> tuple[int, bytes]:
        """Pass on."""
        gate, self._read_gate = self._read_gate, None
        if gate is not None:
            gate.pass_through()
        self._fail_reading(path)
        return self._disk.start(path)

    def tail(self, folder: Path, name: str, most: int) -> Tail:
        """Count the bytes, and fail where no byte of the file can be read."""
        self._fail_reading(folder / name)
        tail = self._disk.tail(folder, name, most)
        self.tails_read.append(name)
        self.bytes_read += len(tail.content)
        return tail

    def names(self, folder: Path) -> list[str]:
        """Pass on."""
        return self._disk.names(folder)

    def stamps(self, folder: Path) -> dict[str, Stamp]:
        """Pass on."""
        return self._disk.stamps(folder)

    def set_aside(self, path: Path, suffix: str, how: Aside) -> tuple[Path, bool]:
        """Fail, or pass on; what is wrong with a file goes with it."""
        code, self._aside_code = self._aside_code, 0
        if code:
            raise OSError(code, os.strerror(code), path.name)
        if how == "copy":
            self._fail_reading(path)
        aside, copied = self._disk.set_aside(path, suffix, "rename" if path in self._start_faults else how)
        self._start_faults.pop(path, None)
        return aside, copied

    def _fail_reading(self, path: Path) -> None:
        once = self._reading_faults.get(path)
        code = once.pop(0) if once else self._start_faults.get(path)
        if code:
            raise OSError(code, os.strerror(code), path.name)

    def _spoil(self, write: Write) -> OSError:
        fault = self._faults.pop(write.path)
        if fault.times > 1:
            self._faults[write.path] = replace(fault, times=fault.times - 1)
        if fault.leaves:
            with write.path.open("ab") as file:
                file.write(write.payload[: fault.leaves])
        return OSError(fault.code, os.strerror(fault.code), write.path.name)
