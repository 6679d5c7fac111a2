"""Checks a session file against the rules of its records: lines in, findings out, no I/O.

A line is kept or lost. Lost is what is unreadable, numbered wrongly or contradicts the records before it, and the lines
after it are judged as `repair` will leave the file: with an `erased` record for each seq that no line has. So one fault
is one finding, not a cascade, and a file repaired by these verdicts has no damage left. There is one consequence: a
compaction over a lost record is lost too, since its digest cannot match any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from agentd.transcript.clock import parse_time
from agentd.transcript.coverage import Coverage
from agentd.transcript.key import parse_file_name
from agentd.transcript.lines import MAX_LINE_BYTES, Line
from agentd.transcript.records import (
    FORMAT_VERSION,
    UNNUMBERED,
    Compaction,
    Damaged,
    Erased,
    Record,
    SessionHeader,
    Unknown,
    parse_line,
)
from agentd.transcript.rules import Rules

__all__ = ["Examination", "Finding", "Verdict", "find_ranges", "verify"]

LOOKAHEAD_LINES = 8
"""How many lines are read ahead to tell a gap (the next seqs follow this one) from a wrong seq."""

MAX_MISSING = 1_000_000
"""A wider gap is a wrong seq, whatever follows."""

MAX_MISSING_UNCONFIRMED = 1_000
"""The same for the last record of a file, which nothing follows."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_NONE = range(0)


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one line, or with line 0 about the file; `is_damage` is False for a mere note."""

    line: int
    text: str
    is_damage: bool = True


class Verdict(NamedTuple):
    """The verdict on one line: the seqs missing before it, and from which byte on it is good."""

    line: Line
    findings: tuple[Finding, ...] = ()
    good_from: int | None = None
    """The offset in the file from which the line is good; None: it is lost."""
    missing: range = _NONE
    ts: str = ""
    """The time for the missing records: that of the record before, or of this one if there was none."""


class _Read(NamedTuple):
    line: Line
    record: Record | Damaged | Unknown | None
    content: bytes = b""
    nul_bytes: int = 0


class Examination:
    """One pass over a file; `name` is its name without the suffix, `ranges` what its compactions cover."""

    def __init__(self, name: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Begin before the first line."""
        self._name = name
        self._rules = Rules(Coverage(ranges))
        self._next_seq = 0
        self._unread = 0
        self._misplaced: set[int] = set()
        self._is_first = True
        self._ts = ""

    def verdicts(self, lines: Iterable[Line]) -> Iterator[Verdict]:
        """Judge each line, in the order of the file."""
        ahead: list[_Read] = []
        for line in lines:
            ahead.append(_read(line))
            if len(ahead) > LOOKAHEAD_LINES:
                yield self._judge(ahead.pop(0), ahead)
        while ahead:
            yield self._judge(ahead.pop(0), ahead)

    @property
    def next_seq(self) -> int:
        """Return the seq that the next record gets."""
        return self._next_seq

    @property
    def unended(self) -> list[int]:
        """Return the messages whose ending is lost, as a later turn proves; complete after the last line."""
        return self._rules.unended

    @property
    def unconfirmed(self) -> list[int]:
        """Return the commands, replies and notices whose delivery is lost in the same way; complete after the last
        line.
        """
        return self._rules.unconfirmed

    def closing_notes(self) -> Iterator[Finding]:
        """Yield notes about what is pending; call it after the last line."""
        for seq, line in self._rules.pending.items():
            found = self._found(seq, "answers it, or says why not")
            yield Finding(line, f"record {seq} is pending: {found}", is_damage=False)
        for seq, line in self._rules.undelivered.items():
            yield Finding(line, f"record {seq} has no delivery: {self._found(seq, 'completes it')}", is_damage=False)

    def _found(self, seq: int, done: str) -> str:
        """Say what the next run does about a pending record."""
        if seq < self._rules.settled_before:
            return "a later turn was delivered, so that the next run does not look for it"
        return f"the next run {done}"

    def _judge(self, read: _Read, ahead: Sequence[_Read]) -> Verdict:
        line = read.line
        if read.record is None:
            return Verdict(line, good_from=line.offset)
        if isinstance(read.record, Damaged):
            self._unread += 1
            cut = "" if line.has_newline else ", cut off at the end of the file"
            return Verdict(line, (Finding(line.number, f"not a record: {read.record.fault}{cut}"),))
        return self._place(read, read.record, ahead)

    def _place(self, read: _Read, record: Record | Unknown, ahead: Sequence[_Read]) -> Verdict:
        """Judge a record by its seq first: its place decides what is missing before it."""
        number, findings = read.line.number, list(_notes(read, record))
        if record.seq == UNNUMBERED:
            unnumbered, record = True, msgspec.structs.replace(record, seq=self._next_seq)
        else:
            unnumbered = False
        fault = self._seq_fault(record.seq, ahead)
        if fault is not None:
            self._unread += 1
            self._misplaced.add(record.seq)
            return Verdict(read.line, (*findings, Finding(number, fault)))
        missing = range(self._next_seq, record.seq)
        # Seqs that other findings explain: unreadable lines just before, and earlier records out of place.
        known = max(self._unread, sum(seq in missing for seq in self._misplaced)) if missing else 0
        if len(missing) > known:
            findings.append(Finding(number, _missing_text(missing, known)))
        for seq in missing:
            self._rules.lose(seq)
        before = self._ts
        fault = self._record_fault(record, findings, number, unnumbered=unnumbered)
        self._next_seq, self._unread, self._is_first = record.seq + 1, 0, False
        self._ts = record.ts if fault is None and record.ts else self._ts
        if fault is not None:
            self._rules.lose(record.seq)
            lost = range(missing.start, record.seq + 1)
            return Verdict(read.line, (*findings, Finding(number, fault)), missing=lost, ts=before or self._ts)
        self._rules.take(record, number, read.content)
        return Verdict(read.line, tuple(findings), read.line.offset + read.nul_bytes, missing, before or self._ts)

    def _seq_fault(self, seq: int, ahead: Sequence[_Read]) -> str | None:
        gap = seq - self._next_seq
        if gap == 0:
            return None
        if gap < 0:
            return f"seq {seq} stands a second time; {self._next_seq} comes here"
        following = [read.record.seq for read in ahead if isinstance(read.record, Record | Unknown)]
        numbered = [found for found in following if found != UNNUMBERED]
        trusted = gap <= MAX_MISSING and numbered[0] > seq if numbered else gap <= MAX_MISSING_UNCONFIRMED
        return None if trusted else f"seq {seq} stands where {self._next_seq} comes"

    def _record_fault(
        self, record: Record | Unknown, findings: list[Finding], number: int, *, unnumbered: bool
    ) -> str | None:
        """Return why the record is lost, or None; notes about a first record are added to the findings."""
        if not isinstance(record, Unknown) and not _is_time(record.ts) and (record.ts or not unnumbered):
            return "ts is no RFC 3339 time in UTC with milliseconds"
        if self._is_first and record.seq == 0:
            if unnumbered and not isinstance(record, SessionHeader):
                findings.append(Finding(number, _unheaded_text(self._name), is_damage=False))
            elif isinstance(record, Erased):
                findings.append(Finding(number, "the session record is lost, and the file's name holds no key"))
            elif not isinstance(record, SessionHeader):
                return "the first record is no session record"
            elif record.key.file_name != self._name:
                findings.append(Finding(number, f"this is the file of another session: {record.key.file_name}"))
        return self._rules.fault(record)


def verify(name: str, read: Callable[[], Iterable[Line]]) -> Iterator[Finding]:
    """Yield the findings about a file; `name` is without the suffix, and `read` is called twice."""
    examination = Examination(name, find_ranges(read()))
    for verdict in examination.verdicts(read()):
        yield from verdict.findings
    yield from examination.closing_notes()


def find_ranges(lines: Iterable[Line]) -> set[tuple[int, int]]:
    """Return the ranges that the compactions of a file cover."""
    suspects = (line.content for line in lines if line.content and b"compaction" in line.content)
    records = (parse_line(content.lstrip(b"\0")) for content in suspects)
    return {record.covers for record in records if isinstance(record, Compaction)}


def _read(line: Line) -> _Read:
    """Parse one line; NUL bytes before a record, as a power cut may leave them, are skipped."""
    if line.content is None:
        return _Read(line, Damaged(fault=f"longer than {MAX_LINE_BYTES >> 20} MiB"))
    if not line.content.strip():
        return _Read(line, None)
    content = line.content.lstrip(b"\0")
    nul_bytes = len(line.content) - len(content)
    record = parse_line(content) if content else Damaged(fault="NUL bytes")
    if isinstance(record, Unknown) and record.name == "message":
        record = Damaged(fault="a message without a role")
    return _Read(line, record, content, nul_bytes)


def _notes(read: _Read, record: Record | Unknown) -> Iterator[Finding]:
    number = read.line.number
    if read.nul_bytes:
        yield Finding(number, f"{read.nul_bytes} NUL bytes before a record")
    if isinstance(record, Unknown):
        yield Finding(number, f"a record of an unknown type ({record.name}), which is skipped", is_damage=False)
    if isinstance(record, SessionHeader) and record.version > FORMAT_VERSION:
        yield Finding(number, f"written by a later version (format {record.version})", is_damage=False)
    if not read.line.has_newline:
        yield Finding(number, "the last line has no newline; it counts all the same", is_damage=False)


def _missing_text(missing: range, unread: int) -> str:
    many = len(missing) - unread
    what = f"seq {missing.start}" if len(missing) == 1 else f"of seq {missing.start} to {missing.stop - 1}, {many}"
    return f"{what} {'is' if many == 1 else 'are'} missing before this line"


def _unheaded_text(name: str) -> str:
    if parse_file_name(name) is None:
        return "no session record, and the file's name holds no key: bring it in with agentd sessions import"
    return "no session record: the file's name says whose it is"


def _is_time(ts: str) -> bool:
    return bool(_TIME.fullmatch(ts)) and parse_time(ts) is not None
