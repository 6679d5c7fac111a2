"""Keeps sessions in memory only, until the process ends (`session_persistence = false`)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from agentd.transcript.disk import START_BYTES, Aside, Stamp, Tail, Write, free_name
from agentd.transcript.faults import FileChanged

__all__ = ["MemoryDisk"]


class MemoryDisk:
    """Keeps each file's bytes in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._contents: dict[Path, bytearray] = {}

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append each."""
        return [self._commit_one(write) for write in writes]

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first."""
        yield from reversed(bytes(self._contents.get(path, b"")[:end]).split(b"\n"))

    def blocks(self, path: Path, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a span of a file, as one block."""
        content = bytes(self._contents.get(path, b"")[start:end])
        if len(content) < end - start:
            raise FileChanged(f"{path.name} became shorter while it was read")
        yield content

    def start(self, path: Path) -> tuple[int, bytes]:
        """Return the length of a file and its first bytes."""
        content = self._contents.get(path, b"")
        return len(content), bytes(content[:START_BYTES])

    def tail(self, folder: Path, name: str, most: int) -> Tail:
        """Return the last bytes of a file."""
        content = bytes(self._contents.get(folder / name, b""))
        return Tail(Stamp(len(content), 0), content[-most:])

    def names(self, folder: Path) -> list[str]:
        """Return the names of the files of a folder."""
        # The writer's thread may add a file at any moment: copy the names in one step.
        return [path.name for path in list(self._contents) if path.parent == folder and path.suffix == ".jsonl"]

    def stamps(self, folder: Path) -> dict[str, Stamp]:
        """Return the length of each file of a folder, by its name."""
        return {name: Stamp(len(self._contents[folder / name]), 0) for name in self.names(folder)}

    def set_aside(self, path: Path, suffix: str, how: Aside) -> tuple[Path, bool]:
        """Keep the bytes under another name, and, if asked for, a copy of them under their own."""
        aside = path.with_name(free_name(path.name + suffix, {other.name for other in self._contents}))
        content = self._contents.pop(path, None)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path.name)
        self._contents[aside] = content
        if how != "rename":
            self._contents[path] = bytearray(content)
        return aside, how != "rename"

    def _commit_one(self, write: Write) -> OSError | None:
        content = self._contents.setdefault(write.path, bytearray())
        if len(content) != write.offset:
            return FileChanged(f"{write.path.name} has {len(content)} bytes, and {write.offset} were written")
        content += write.payload
        return None
