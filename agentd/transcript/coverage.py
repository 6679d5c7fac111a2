"""The digest of a compaction: what its summary was made from, so that a later change to that can be seen.

It is the SHA-256 over the lines of all records with a seq from `covers[0]` to `covers[1]`, each with one newline, in
the order of the file. Lines that are no records (a torn one, a blank one) do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["Coverage", "digest_lines"]


def digest_lines(lines: Iterable[bytes]) -> str:
    """Return the digest over these lines, given without their newlines."""
    running = hashlib.sha256()
    for line in lines:
        running.update(line + b"\n")
    return running.hexdigest()


class Coverage:
    """Makes the digests of ranges that are known beforehand in one pass over a file."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Look out for these ranges of seqs, both ends included."""
        self._ends: dict[int, set[int]] = {}
        for start, end in ranges:
            self._ends.setdefault(start, set()).add(end)
        self._running = {start: hashlib.sha256() for start in self._ends}
        self._digests: dict[tuple[int, int], str] = {}
        self._open: set[int] = set()
        self._lost: set[int] = set()

    def take(self, seq: int, line: bytes | None) -> None:
        """Take in the record with this seq, seqs ascending; None stands for one whose line is lost."""
        if seq in self._ends:
            self._open.add(seq)
        for start in tuple(self._open):
            if line is None:
                self._lost.add(start)
            else:
                self._running[start].update(line + b"\n")
            self._close(start, seq)

    def digest(self, start: int, end: int) -> str | None:
        """Return the digest of a range that was passed; None where a line of it is lost."""
        return self._digests.get((start, end))

    def _close(self, start: int, seq: int) -> None:
        if seq in self._ends[start] and start not in self._lost:
            self._digests[start, seq] = self._running[start].hexdigest()
        if start in self._lost or seq >= max(self._ends[start]):
            self._open.discard(start)
