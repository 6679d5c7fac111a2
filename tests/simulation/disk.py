"""This module is a simulated disk that knows what was written and what would survive a power cut.

A file has the bytes that a reader sees and those that outlive a power cut; between them stand the operations since
its last flush. A name is sure only once its folder was flushed. A power cut drops, keeps or tears what was not
flushed, as the dice fall; the end of a process alone loses nothing that was written. After a flush that failed, the
operations before it may be lost for good while later flushes succeed, as on Linux.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

__all__ = ["FOLDER", "Faults", "File", "Storage", "fault"]

FOLDER = Path("/simulated/sessions")

Operation = tuple[int, bytes] | int
"""Bytes written at an offset, or the length that the file was cut to."""


@dataclass(slots=True, eq=False)
class File:
    """One file: what is seen of it, and what is on the platter."""

    number: int
    content: bytearray = field(default_factory=bytearray)
    sure: bytearray = field(default_factory=bytearray)
    waiting: list[Operation] = field(default_factory=list)
    has_hole: bool = False
    """Whether bytes that are seen were lost by a flush that failed."""
    changes: int = 0
    """How often it was changed, which stands for the time of its last change."""
    sure_changes: int = 0

    def write(self, payload: bytes) -> None:
        """Append."""
        self.changes += 1
        self.waiting.append((len(self.content), payload))
        self.content += payload

    def cut(self, length: int) -> None:
        """Make it so long."""
        self.changes += 1
        self.waiting.append(length)
        _apply(self.content, length)

    def flush(self) -> None:
        """Make sure of everything that a failed flush did not lose."""
        for operation in self.waiting:
            _apply(self.sure, operation)
        self.waiting.clear()
        self.sure_changes = self.changes

    def lose(self) -> None:
        """Take what waits for written, without writing it."""
        self.has_hole = True
        self.waiting = [operation for operation in self.waiting if isinstance(operation, int)]

    def evict(self) -> None:
        """Let a reader see what is on the platter, where that is less than was written."""
        if self.has_hole:
            self.flush()
            self.content = bytearray(self.sure)
            self.has_hole = False

    def survive(self, dice: Random) -> None:
        """Come back after a power cut."""
        before = bytes(self.sure)
        roll = dice.random()
        kept = len(self.waiting) if roll < 0.3 else 0 if roll < 0.5 else dice.randint(0, len(self.waiting))
        for operation in self.waiting[:kept]:
            _apply(self.sure, operation)
        if kept < len(self.waiting) and roll >= 0.5:
            self._tear(self.waiting[kept], dice)
        self.waiting.clear()
        self.content = bytearray(self.sure)
        self.has_hole = False
        if self.sure == before:
            self.changes = self.sure_changes

    def _tear(self, operation: Operation, dice: Random) -> None:
        """Let a part of one operation arrive: its start, or all of its length with a hole of NUL bytes."""
        if isinstance(operation, int):
            return
        offset, payload = operation
        if dice.random() < 0.7:
            _apply(self.sure, (offset, payload[: dice.randint(0, len(payload))]))
            return
        start = dice.choice((0, dice.randint(0, len(payload))))
        end = dice.choice((len(payload), dice.randint(start, len(payload))))
        _apply(self.sure, (offset, payload[:start] + bytes(end - start) + payload[end:]))


@dataclass(slots=True)
class Faults:
    """What is wrong with the disk now."""

    is_full: bool = False
    refuses_writing: set[str] = field(default_factory=set)
    """Names of files that cannot be opened to write."""
    once: dict[str, int] = field(default_factory=dict)
    """Calls that fail the next time, and how."""
    short_writes: float = 0.0
    """How often a write takes only a part."""

    def heal(self) -> None:
        """Make everything good."""
        self.is_full = False
        self.refuses_writing.clear()
        self.once.clear()
        self.short_writes = 0.0


class Storage:
    """The one folder that sessions are kept in; it outlives processes and power cuts."""

    def __init__(self, dice: Random) -> None:
        """Begin with an empty folder."""
        self.dice = dice
        self.faults = Faults()
        self.names: dict[str, File] = {}
        self.sure_names: dict[str, File] = {}
        self.abandoned: set[str] = set()
        """Sessions whose file was moved away with all that it held."""
        self._made = 0
        self._changes: list[dict[str, File]] = []
        """The folder after each change that was not flushed."""

    def create(self, name: str) -> File:
        """Make an empty file."""
        self._made += 1
        self.names[name] = File(self._made)
        self._changes.append(dict(self.names))
        return self.names[name]

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, which may have been another file's."""
        if name.endswith(".jsonl"):
            self.abandoned.add(name)
        self.names[to] = self.names.pop(name)
        self._changes.append(dict(self.names))

    def unlink(self, name: str) -> None:
        """Take a name away."""
        del self.names[name]
        self._changes.append(dict(self.names))

    def flush_folder(self) -> None:
        """Make sure of all names."""
        self.sure_names = dict(self.names)
        self._changes.clear()

    def lose_power(self) -> None:
        """Come back with what was sure, and with what else the dice leave."""
        kept = self.dice.randint(0, len(self._changes))
        self.names = dict([self.sure_names, *self._changes][kept])
        self.flush_folder()
        for file in self.names.values():
            file.survive(self.dice)

    def seen(self, name: str) -> bytes:
        """Return what a reader would see; nothing where there is no such file."""
        file = self.names.get(name)
        return bytes(file.content) if file else b""

    def sure(self, name: str) -> bytes:
        """Return what no power cut can take away."""
        file = self.sure_names.get(name)
        return bytes(file.sure) if file else b""


def fault(code: int, name: str) -> OSError:
    """Return what the operating system would raise."""
    return OSError(code, os.strerror(code), name)


def _apply(content: bytearray, operation: Operation) -> None:
    if isinstance(operation, int):
        del content[operation:]
        content += bytes(operation - len(content))
        return
    offset, payload = operation
    content += bytes(max(offset - len(content), 0))
    content[offset : offset + len(payload)] = payload
