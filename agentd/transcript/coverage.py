"""Computes the digest of a compaction, by which a later change to the summarised lines can be detected.

It is the SHA-256 over the lines of all records with a seq from `covers[0]` to `covers[1]`, each with one newline, in
the order of the file. Lines that are no records (a torn one, a blank one) do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from agentd.transcript.lines import Line
from agentd.transcript.records import (
    UNNUMBERED,
    AssistantMessage,
    Damaged,
    Delete,
    Failure,
    Reset,
    UserMessage,
    parse_line,
)

__all__ = ["Cover", "Coverage", "digest_lines"]


def digest_lines(lines: Iterable[bytes]) -> str:
    """Return the SHA-256 over these lines, given without their newlines."""
    running = hashlib.sha256()
    for line in lines:
        running.update(line + b"\n")
    return running.hexdigest()


class Coverage:
    """Computes the digests of known ranges in one pass over a file."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Compute them for these ranges of seqs, both ends included."""
        self._ends: dict[int, set[int]] = {}
        for start, end in ranges:
            self._ends.setdefault(start, set()).add(end)
        self._running = {start: hashlib.sha256() for start in self._ends}
        self._digests: dict[tuple[int, int], str] = {}
        self._open: set[int] = set()
        self._lost: set[int] = set()

    def take(self, seq: int, line: bytes | None) -> None:
        """Add the record with this seq, in ascending order; None stands for a record whose line is lost."""
        if seq in self._ends:
            self._open.add(seq)
        for start in tuple(self._open):
            if line is None:
                self._lost.add(start)
            else:
                self._running[start].update(line + b"\n")
            self._close(start, seq)

    def digest(self, start: int, end: int) -> str | None:
        """Return the digest of a range; None if it was not reached, or a line of it is lost."""
        return self._digests.get((start, end))

    def _close(self, start: int, seq: int) -> None:
        if seq in self._ends[start] and start not in self._lost:
            self._digests[start, seq] = self._running[start].hexdigest()
        if start in self._lost or seq >= max(self._ends[start]):
            self._open.discard(start)


@dataclass(slots=True)
class Cover:
    """The running digest of what a conversation's summaries cover, from its first message on."""

    start: int | None = None
    """The seq of the first message; None: the first one that the last reset left waiting, or that came after it, found
    while reading.
    """
    to: int = -1
    offset: int = 0
    """Where the first line begins that is not included yet."""
    is_given: bool = field(init=False)
    _next_seq: int = 0
    _running: hashlib._Hash = field(default_factory=hashlib.sha256)
    _waiting: dict[int, hashlib._Hash] = field(default_factory=dict)
    """Messages without an end so far, with the digest from each on: the oldest begins what a reset begins."""

    def __post_init__(self) -> None:
        self.is_given = self.start is not None

    def extend(self, lines: Iterable[Line], to: int) -> str:
        """Include the lines from `offset` up to the record with the seq `to`, and return the digest."""
        begin = self.offset
        for line in lines:
            record = parse_line(line.content) if line.content and line.content.strip() else None
            if line.content is not None and record is not None and not isinstance(record, Damaged):
                seq = self._next_seq if record.seq == UNNUMBERED else record.seq
                if seq > to:
                    break
                self._next_seq = max(self._next_seq, seq + 1)
                self._see(record, seq, line.content)
            self.offset = begin + line.end
        self.to = to
        self._waiting.clear()
        return self._running.hexdigest()

    def _see(self, record: object, seq: int, line: bytes) -> None:
        if self.to < 0 and not self.is_given:
            self._look_for_start(record, seq)
        if self.start is not None and seq >= self.start:
            self._running.update(line + b"\n")
        for digest in self._waiting.values():
            digest.update(line + b"\n")

    def _look_for_start(self, record: object, seq: int) -> None:
        match record:
            case UserMessage():
                self.start = seq if self.start is None else self.start
                if record.source is not None:
                    self._waiting[seq] = hashlib.sha256()
            case AssistantMessage() | Failure():
                for answered in record.answers:
                    self._waiting.pop(answered, None)
            case Delete():
                self._waiting.pop(record.of, None)
            case Reset():
                self.start = min(self._waiting, default=None)
                self._running = self._waiting[self.start].copy() if self.start is not None else hashlib.sha256()
