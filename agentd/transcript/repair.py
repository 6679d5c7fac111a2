"""Repairs a session file: moves damaged bytes to `FILE.quarantine`, and keeps the good lines as they are, in order.

Nothing is dropped, and as little as possible is made up. An `erased` record replaces each seq without a line, with the
time of the record before it: so seqs have no gaps, references to the lost record stay valid, and no later record takes
its seq. A lost `session` record is written again if the file's name holds the key. A message whose ending is lost is
pending again, unless a later turn was delivered: then it was settled before (`settling`), recovery would not look for
it, and its sender was told. Such a message gets a `failure` with the reason "lost" in place of the first lost record
after it; commands, replies and notices whose delivery is lost get a `delivery`, `uncertain`, at the end of the file. A
file whose key encodes to another name is renamed to that if it is free: the key inside decides.

The steps are done one by one. The quarantine is on disk before the new file is, and the new file takes the old one's
name by a rename: a crash in between leaves the old file or the new one, at worst with bytes both in the quarantine and
in the file. An entry of the quarantine is a line of JSON that says where its bytes stood, then those bytes, then a
newline.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agentd.transcript.key import parse_file_name
from agentd.transcript.lines import read_blocks, read_lines
from agentd.transcript.reading import find_key
from agentd.transcript.records import (
    FORMAT_VERSION,
    LOST_ENDING,
    UNNUMBERED,
    Delivery,
    Erased,
    Failure,
    Record,
    SessionHeader,
    encode_line,
)
from agentd.transcript.verify import Examination, Verdict, find_ranges

__all__ = [
    "Lost",
    "Mended",
    "Plan",
    "Standin",
    "flush_folder",
    "own_as",
    "plan_repair",
    "put_in_place",
    "rename_to_key",
    "repair_file",
    "right_path",
    "set_aside",
    "write_mended",
]

HEAD_BYTES = 64 * 1024

MOST_ROUNDS = 4
"""One round repairs all known damage; more are for damage that shows only once other damage is gone."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes to move out of the file, and why."""

    start: int
    end: int
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Standin:
    """The seqs without a line, to be written as records at this offset of the old file."""

    offset: int
    seqs: range
    ts: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair does, in the order of the file."""

    length: int
    steps: tuple[Lost | Standin, ...]
    ended: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """The messages that the replacement of a lost seq settles."""
    closing: tuple[Record, ...] = ()
    """Records to write after the last line."""
    is_open: bool = False
    """Whether the last line stays and has no newline."""

    @property
    def lost(self) -> tuple[Lost, ...]:
        """Return the bytes to move out of the file."""
        return tuple(step for step in self.steps if isinstance(step, Lost))

    @property
    def stand_ins(self) -> int:
        """Return how many records replace those without a line."""
        return sum(len(step.seqs) for step in self.steps if isinstance(step, Standin))

    @property
    def settled(self) -> int:
        """Return how many records are settled here, because a later turn proves that they were."""
        return sum(map(len, self.ended.values())) + sum(len(_settles(record)) for record in self.closing)


@dataclass(frozen=True, slots=True)
class Mended:
    """What a repair did: the file's path now, the bytes moved out, the number of replaced and of settled records."""

    path: Path
    lost: tuple[Lost, ...] = ()
    stand_ins: int = 0
    settled: int = 0
    quarantine: Path | None = None


def plan_repair(path: Path, now: str) -> Plan:
    """Plan the repair of a file; a plan without steps changes nothing. Raises OSError."""
    examination = Examination(path.stem, find_ranges(read_lines(path)))
    steps: list[Lost | Standin] = []
    length, is_open = 0, False
    for verdict in examination.verdicts(read_lines(path)):
        length, is_open = verdict.line.end, verdict.good_from is not None and not verdict.line.has_newline
        steps += _steps(verdict, now)
    if not steps:
        return Plan(length, ())
    ended, left = _ended(examination.unended, [step.seqs for step in steps if isinstance(step, Standin)])
    closing = _numbered((*_endings(left), *map(_delivery, examination.unconfirmed)), examination.next_seq, now)
    return Plan(length, tuple(steps), ended, closing, is_open)


def set_aside(path: Path, plan: Plan, now: str) -> Path:
    """Append the damaged bytes to the quarantine (0600), flushed, and return its path."""
    quarantine = path.with_name(f"{path.name}.quarantine")
    with _written(quarantine, os.O_APPEND | os.O_CREAT) as fd:
        own_as(fd, path)
        for lost in plan.lost:
            size = lost.end - lost.start
            head = {"file": path.name, "offset": lost.start, "bytes": size, "line": lost.line, "at": now}
            _write_all(fd, json.dumps({**head, "why": lost.why}).encode() + b"\n")
            _copy(path, fd, lost.start, lost.end)
            _write_all(fd, b"\n")
    flush_folder(path.parent)
    return quarantine


def write_mended(path: Path, plan: Plan) -> Path:
    """Write the repaired file beside the old one, flushed; return its path."""
    mended = path.with_name(f"{path.name}.mended")
    mended.unlink(missing_ok=True)
    with _written(mended, os.O_CREAT | os.O_EXCL) as fd:
        own_as(fd, path)
        done = 0
        for step in plan.steps:
            start = step.start if isinstance(step, Lost) else step.offset
            _copy(path, fd, done, start)
            done = step.end if isinstance(step, Lost) else start
            if isinstance(step, Standin):
                for seq in step.seqs:
                    _write_all(fd, encode_line(_stand_in(path.stem, seq, step.ts, plan.ended.get(seq, ()))))
        _copy(path, fd, done, plan.length)
        if plan.is_open and plan.closing:
            _write_all(fd, b"\n")
        for record in plan.closing:
            _write_all(fd, encode_line(record))
    return mended


def put_in_place(mended: Path, path: Path) -> None:
    """Rename the repaired file over the old one, and flush the folder."""
    mended.replace(path)
    flush_folder(path.parent)


def right_path(path: Path) -> Path:
    """Return the path that the key in a file demands; its own if the key is unknown. Raises OSError."""
    key = find_key(b"".join(read_blocks(path, 0, HEAD_BYTES)), path)
    return path.with_name(f"{key.file_name}.jsonl") if key else path


def rename_to_key(path: Path) -> Path:
    """Rename a file, and its attachments, to what its key encodes to, if that name is free; return its path."""
    right = right_path(path)
    if os.path.lexists(right):
        return path
    files, right_files = path.with_suffix(".files"), right.with_suffix(".files")
    if files.is_dir() and not os.path.lexists(right_files):
        files.rename(right_files)
    path.rename(right)
    flush_folder(path.parent)
    return right


def repair_file(path: Path, now: str) -> Mended:
    """Do all the steps, as often as needed. Raises OSError; the file is then the old one or a repaired one."""
    mended = Mended(rename_to_key(path))
    for _ in range(MOST_ROUNDS):
        plan = plan_repair(mended.path, now)
        if not plan.steps:
            break
        quarantine = set_aside(mended.path, plan, now) if plan.lost else mended.quarantine
        put_in_place(write_mended(mended.path, plan), mended.path)
        mended = Mended(
            mended.path,
            mended.lost + plan.lost,
            mended.stand_ins + plan.stand_ins,
            mended.settled + plan.settled,
            quarantine,
        )
    return mended


def flush_folder(folder: Path) -> None:
    """Flush (fsync) a folder, so that the names in it are on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def own_as(fd: int, place: Path) -> None:
    """Give a file that root writes the owner of `place`: the daemon may run as another user."""
    owner = place.lstat()
    if os.geteuid() == 0 != owner.st_uid:
        os.fchown(fd, owner.st_uid, owner.st_gid)


def _steps(verdict: Verdict, now: str) -> Iterator[Lost | Standin]:
    line = verdict.line
    if verdict.missing:
        yield Standin(line.offset, verdict.missing, verdict.ts or now)
    end = line.end if verdict.good_from is None else verdict.good_from
    if end > line.offset:
        yield Lost(line.offset, end, line.number, "; ".join(f.text for f in verdict.findings if f.is_damage))


def _ended(messages: Sequence[int], lost: Sequence[range]) -> tuple[dict[int, list[int]], list[int]]:
    """Map each place of a lost record to the messages it settles, and return the messages after which none is lost."""
    places = [seqs.start for seqs in lost]
    ended: dict[int, list[int]] = {}
    left: list[int] = []
    for message in messages:
        later = bisect_right(places, message)
        (ended.setdefault(places[later], []) if later < len(places) else left).append(message)
    return ended, left


def _stand_in(name: str, seq: int, ts: str, ended: Sequence[int]) -> Record:
    key = parse_file_name(name) if seq == 0 else None
    if key is not None:
        return SessionHeader(version=FORMAT_VERSION, key=key, seq=0, ts=ts)
    return next(_endings(ended, seq, ts), Erased(seq=seq, ts=ts))


def _endings(messages: Sequence[int], seq: int = UNNUMBERED, ts: str = "") -> Iterator[Failure]:
    """Yield the failure that settles these messages, if any; their senders were told in their time, so it tells
    nobody.
    """
    if messages:
        yield Failure(answers=tuple(messages), reason=LOST_ENDING, told=False, seq=seq, ts=ts)


def _delivery(of: int) -> Delivery:
    return Delivery(of=of, state="uncertain")


def _settles(record: Record) -> Sequence[int]:
    return record.answers if isinstance(record, Failure) else (record.seq,)


def _numbered(records: Sequence[Record], begin: int, ts: str) -> tuple[Record, ...]:
    return tuple(msgspec.structs.replace(record, seq=seq, ts=ts) for seq, record in enumerate(records, start=begin))


@contextmanager
def _written(path: Path, flags: int) -> Iterator[int]:
    """Open for writing, and flush at the end."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy(path: Path, fd: int, start: int, end: int) -> None:
    for block in read_blocks(path, start, end):
        _write_all(fd, block)


def _write_all(fd: int, payload: bytes) -> None:
    remaining = memoryview(payload)
    while remaining:
        remaining = remaining[os.write(fd, remaining) :]
