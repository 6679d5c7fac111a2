"""This module reads a session's file as a stranger does: messages, summaries, and whether each is in order.

It shares no code with the daemon, reads only what was added since it last looked, and keeps a digest of all the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["MOST_UNDONE", "SUMMARY_CHARACTERS", "Compaction", "Journal", "PastTurn"]

SUMMARY_CHARACTERS = 2_000

MOST_UNDONE = 20
"""How many summaries may be revoked one after the other: what those before them cover is forgotten."""

LAST_BYTES = 512
"""How much of what was read is read again each time."""


@dataclass(frozen=True, slots=True)
class PastTurn:
    """What was asked together, and the reply; None where there is none."""

    seqs: tuple[int, ...]
    texts: tuple[str, ...]
    reply: str | None


@dataclass(frozen=True, slots=True)
class Compaction:
    """A summary, and the seqs that it stands for."""

    seq: int
    start: int
    to: int
    summary: str


@dataclass(slots=True)
class Journal:
    """One session's file so far; `read` takes in what was added."""

    path: Path
    turns: list[PastTurn] = field(default_factory=list)
    """Of this conversation, in the order in which they ended; of a long one, the later ones."""
    pending: dict[int, str] = field(default_factory=dict)
    compactions: list[Compaction] = field(default_factory=list)
    """Those that nobody revoked, the one in force last; of many, the later ones."""
    candidates: list[Compaction | None] = field(default_factory=list)
    """What was in force at some moment since `mark`, oldest first."""
    made: int = 0
    """How many summaries were ever put on record."""
    failures: int = 0
    covers_faults: list[str] = field(default_factory=list)
    digest_faults: list[str] = field(default_factory=list)
    size_faults: list[str] = field(default_factory=list)
    byte_faults: list[str] = field(default_factory=list)
    _read_bytes: int = 0
    _last: bytes = b""
    _running: Any = field(default_factory=hashlib.sha256)
    _starts: list[int] = field(default_factory=list)
    """Where each record begins, by its seq."""
    _covered: tuple[int, int, Any] = (-1, -1, None)
    """What was covered last, from and to, and the digest of it as far as it goes."""
    _first: int | None = None
    """The seq of this conversation's first message."""

    @property
    def in_force(self) -> Compaction | None:
        """Return the compaction in force."""
        return self.compactions[-1] if self.compactions else None

    def mark(self) -> None:
        """Take down what is in force from now on."""
        self.candidates = [self.in_force]

    def live(self, compaction: Compaction | None) -> list[PastTurn]:
        """Return the turns that a prompt holds as they were said, with this compaction in force."""
        to = compaction.to if compaction else -1
        found: list[PastTurn] = []
        for turn in reversed(self.turns):
            if turn.seqs[-1] <= to:
                break
            found.append(turn)
        return found[::-1]

    def covered(self, compaction: Compaction | None, most: int) -> list[PastTurn]:
        """Return the last turns, so many at most, that this compaction stands for."""
        end = len(self.turns) - len(self.live(compaction))
        return self.turns[max(end - most, 0) : end]

    def read(self) -> None:
        """Take in every line that was added and is whole."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(max(self._read_bytes - len(self._last), 0))
            if file.read(len(self._last)) != self._last:
                self.byte_faults.append(f"the {len(self._last)} bytes before byte {self._read_bytes} have changed")
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._running.update(whole)
        self._last = (self._last + whole)[-LAST_BYTES:]
        for line in whole.split(b"\n")[:-1]:
            self._take(line, self._read_bytes)
            self._read_bytes += len(line) + 1

    def check_bytes(self) -> None:
        """Read everything once more: it must be what it was when it was read first."""
        digest, left = hashlib.sha256(), self._read_bytes
        with self.path.open("rb") as file:
            while left and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
        if digest.digest() != self._running.digest():
            self.byte_faults.append(f"the first {self._read_bytes} bytes are not what they were")

    def _take(self, line: bytes, start: int) -> None:
        record = json.loads(line)
        seq = record["seq"]
        if seq != len(self._starts):
            self.byte_faults.append(f"record {seq} stands where {len(self._starts)} comes")
        self._starts.append(start)
        match record:
            case {"type": "message", "role": "user", "content": str(content)}:
                self._first = seq if self._first is None else self._first
                self.pending[seq] = content
            case {"type": "message", "role": "assistant", "content": str(content)}:
                self._end(record["answers"], content)
            case {"type": "failure"}:
                self.failures += 1
                self._end(record["answers"], None)
            case _:
                self._frame(record)

    def _end(self, answers: list[int], reply: str | None) -> None:
        asked = {seq: self.pending.pop(seq) for seq in answers if seq in self.pending}
        if asked:
            self.turns.append(PastTurn(tuple(asked), tuple(asked.values()), reply))

    def _frame(self, record: dict[str, Any]) -> None:
        match record["type"]:
            case "compaction":
                self._compact(record)
            case "undo":
                self.compactions = [kept for kept in self.compactions if kept.seq != record["of"]]
                self.candidates.append(self.in_force)
            case "reset":
                self.turns, self.compactions, self._first = [], [], None
                self.candidates.append(None)

    def _compact(self, record: dict[str, Any]) -> None:
        start, to = record["covers"]
        made = Compaction(record["seq"], start, to, record["summary"])
        self.made += 1
        name = f"compaction {made.seq} over {start} to {to}"
        self.covers_faults += [f"{name}: {fault}" for fault in self._wrong_covers(made)]
        if record["digest"] != self._digest(start, to):
            self.digest_faults.append(f"{name}: the digest is not that of the lines")
        if not 0 < len(made.summary) <= SUMMARY_CHARACTERS:
            self.size_faults.append(f"{name}: the summary has {len(made.summary)} characters")
        if not record["tokens_after"] < record["tokens_before"]:
            self.size_faults.append(f"{name}: {record['tokens_before']} tokens became {record['tokens_after']}")
        self.compactions.append(made)
        self.candidates.append(made)
        self._forget()

    def _forget(self) -> None:
        """Let go of turns that no prompt will hold again: a year of them takes much room."""
        if len(self.compactions) > 2 * MOST_UNDONE:
            del self.compactions[:MOST_UNDONE]
            to = self.compactions[0].to
            self.turns = [turn for turn in self.turns if turn.seqs[-1] > to]

    def _wrong_covers(self, made: Compaction) -> Iterator[str]:
        before = self.in_force
        if made.start != self._first:
            yield f"the conversation begins with message {self._first}"
        if before is not None and made.to <= before.to:
            yield f"the one in force goes on to {before.to} already"
        if any(seq <= made.to for seq in self.pending):
            yield "a message in it has no end yet"
        ends = {turn.seqs[-1] for turn in self.live(before)}
        if made.to not in ends and (before is None or made.to > before.to):
            yield "it does not end where a turn does"

    def _digest(self, start: int, to: int) -> str | None:
        """Return the SHA-256 over the lines of a range; None where the file has none such."""
        if not 0 <= start <= to < len(self._starts) - 1:
            return None
        known_start, known_to, running = self._covered
        begin = start
        if known_start == start and known_to <= to:
            digest, begin = running.copy(), known_to + 1
        else:
            digest = hashlib.sha256()
        with self.path.open("rb") as file:
            file.seek(self._starts[begin])
            digest.update(file.read(self._starts[to + 1] - self._starts[begin]))
        self._covered = (start, to, digest)
        hexdigest: str = digest.hexdigest()
        return hexdigest
