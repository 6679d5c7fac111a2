"""A disk that forgets: sessions live as long as the process (`session_persistence = false`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from agentd.transcript.disk import FileChanged, Write

__all__ = ["MemoryDisk"]


class MemoryDisk:
    """Keeps each file's bytes in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.files: dict[Path, bytearray] = {}

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Append each."""
        return [self._commit_one(write) for write in writes]

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines of the first `end` bytes, last first."""
        yield from reversed(bytes(self.files.get(path, b"")[:end]).split(b"\n"))

    def first_line(self, path: Path) -> bytes:
        """Return the first line; empty where there is no file."""
        return bytes(self.files.get(path, b"")).split(b"\n", 1)[0]

    def lengths(self, folder: Path) -> dict[Path, int]:
        """Return the length of each file of a folder."""
        return {path: len(content) for path, content in self.files.items() if path.parent == folder}

    def _commit_one(self, write: Write) -> OSError | None:
        content = self.files.setdefault(write.path, bytearray())
        if len(content) != write.offset:
            return FileChanged(f"{write.path.name} has {len(content)} bytes, and {write.offset} were written")
        content += write.payload
        return None
