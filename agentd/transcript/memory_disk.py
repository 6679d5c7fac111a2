"""A disk that forgets: sessions live as long as the process (`session_persistence = false`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from agentd.transcript.disk import START_BYTES, FileChanged, Write

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

    def start(self, path: Path) -> tuple[int, bytes]:
        """Return the length of a file and its first bytes."""
        content = self._contents.get(path, b"")
        return len(content), bytes(content[:START_BYTES])

    def files(self, folder: Path) -> list[Path]:
        """Return the files of a folder."""
        # The writer's thread may add one at any moment: the list is made in one step.
        return [path for path in list(self._contents) if path.parent == folder]

    def _commit_one(self, write: Write) -> OSError | None:
        content = self._contents.setdefault(write.path, bytearray())
        if len(content) != write.offset:
            return FileChanged(f"{write.path.name} has {len(content)} bytes, and {write.offset} were written")
        content += write.payload
        return None
