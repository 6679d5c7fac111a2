"""Loads a session from the end of its file: only the live part, which is what the next prompt and pending work need.

The ids of older messages, which recognise redeliveries, are read when somebody first asks for one (`load_ids`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from agentd.transcript.clock import format_time, parse_time
from agentd.transcript.disk import Disk
from agentd.transcript.faults import is_of_one_file
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.records import (
    UNNUMBERED,
    AssistantMessage,
    Command,
    Compaction,
    Damaged,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    UserMessage,
    parse_line,
)
from agentd.transcript.seen import SEEN_HOURS, SEEN_MESSAGES, Seen
from agentd.transcript.settling import Boundary
from agentd.transcript.view import Transcript, fold

__all__ = ["MOST_CHARACTERS", "Horizon", "Loaded", "Older", "find_key", "load", "load_ids", "parse_header"]

log = structlog.get_logger()

_SOURCE = b'"source"'
"""Occurs in every line that has a platform's id."""

MOST_CHARACTERS = 32_000 * 12
"""What a context of 32,000 tokens (the default) can hold, at 12 characters a token at most."""


@dataclass(frozen=True, slots=True)
class Older:
    """The part of a file that was not loaded, its first `end` bytes: it matters only for the ids in it."""

    end: int
    accepted: int
    """How many messages and commands the loaded part holds."""
    newest: str
    """When the newest record was written."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session as loaded; `older` is None if nothing stands before what was read."""

    view: Transcript
    length: int
    ends_in_newline: bool
    older: Older | None = None


class Horizon:
    """Decides how far back a session must be read; it is fed records, newest first.

    The live part reaches back to the last reset, or to the end of what the compaction in force covers, and no further
    than a prompt can: `most_characters` of text, of which one message takes half at most, since a longer one is cut to
    that. It includes everything unsettled (`settling.Boundary`). If a record has no seq, its place is unknown, and the
    whole file is read.
    """

    def __init__(self, most_characters: int) -> None:
        """Begin at the end of a file."""
        self._most_characters = most_characters
        self._characters = 0
        self._live_from: int | None = None
        self._covers_from = sys.maxsize
        self._oldest_answered = sys.maxsize
        self._undone: set[int] = set()
        self._boundary = Boundary()
        self._numbered = True
        self.newest = ""
        self.accepted = 0
        self.live_is_read = False
        """Whether older records matter for their ids only."""
        self.is_cut = False
        """Whether the conversation has text before what was read of it."""

    def pass_by(self, record: Record | Damaged | Unknown) -> None:
        """Look at the next older record."""
        if isinstance(record, Damaged):
            return
        self._numbered = self._numbered and record.seq != UNNUMBERED
        self.newest = self.newest or record.ts
        self._boundary.pass_by(record)
        self._see(record)
        if self._numbered and self._boundary.is_reached:
            is_framed = self._live_from is not None and record.seq <= self._live_from
            self.is_cut = not is_framed and self._characters > self._most_characters
            self.live_is_read = is_framed or self.is_cut

    def _see(self, record: Record | Unknown) -> None:
        match record:
            case UserMessage():
                self.accepted += 1
                self._count(record.content)
            case Command():
                self.accepted += 1
            case AssistantMessage() | Failure():
                self._count(record.content if isinstance(record, AssistantMessage) else "")
                self._oldest_answered = min(self._oldest_answered, *record.answers, record.seq)
            case Undo():
                self._undone.add(record.of)
            case Reset() if self._live_from is None:
                # What came between the command `/new` and its reset belongs to the new conversation.
                self._live_from = min(record.seq, self._oldest_answered)
            case Reset() if self._live_from is not None and record.seq > self._live_from:
                # A compaction in force stands for some of that, and counts only if its first message is read too.
                self._live_from = min(self._live_from, self._covers_from)
            case Compaction() if self._live_from is None and record.seq not in self._undone:
                if record.covers[1] < record.seq:  # otherwise it is damaged, and the view ignores it
                    self._covers_from, self._live_from = record.covers
            case _:
                pass

    def _count(self, text: str) -> None:
        self._characters += min(len(text), self._most_characters // 2)


def load(disk: Disk, path: Path, length: int, most_characters: int = MOST_CHARACTERS) -> Loaded:
    """Load the live part of a file's first `length` bytes; a last line without its newline counts if it is whole."""
    horizon = Horizon(most_characters)
    live: list[Record | Damaged | Unknown] = []
    ends_in_newline = True
    begin = length + 1
    for index, line in enumerate(disk.lines_backwards(path, length)):
        begin -= len(line) + 1
        if not line.strip():
            continue
        ends_in_newline = ends_in_newline and index > 0
        record = parse_line(line)
        live.append(record)
        horizon.pass_by(record)
        if horizon.live_is_read:
            break
    view = fold(reversed(live))
    view.is_cut = horizon.is_cut
    older = Older(begin, horizon.accepted, horizon.newest) if horizon.live_is_read and begin else None
    return Loaded(view, length, ends_in_newline, older)


def load_ids(disk: Disk, path: Path, older: Older, *, spares_fault: bool = False) -> Seen:
    """Read on where `load` ended; return the messages and commands there.

    At least the last `SEEN_MESSAGES` and those of the last `SEEN_HOURS` are read. With `spares_fault`, a fault of this
    file alone is logged and ends the reading: messages before it will not be recognised.
    """
    found: list[tuple[str, str, int, str]] = []
    horizon = _hours_before(older.newest, SEEN_HOURS)
    try:
        for line in disk.lines_backwards(path, older.end):
            if _SOURCE not in line:
                continue
            record = parse_line(line)
            if isinstance(record, UserMessage | Command) and (source := record.source):
                found.append((source.chat, source.message_id, record.seq, record.ts))
                if older.accepted + len(found) >= SEEN_MESSAGES and _is_before(record.ts, horizon):
                    break
    except OSError as fault:
        if not (spares_fault and is_of_one_file(fault)):
            raise
        log.error("older_messages_not_readable", session=path.stem, fault=str(fault), read=len(found))
    return Seen.of(reversed(found))


def _hours_before(ts: str, hours: int) -> str:
    """Return the time so many hours earlier, in the store's form; "" if `ts` is no time."""
    moment = parse_time(ts)
    try:
        return format_time(moment - timedelta(hours=hours)) if moment else ""
    except OverflowError:
        return ""


def _is_before(ts: str, horizon: str) -> bool:
    """Tell whether a time is before `horizon`, which has the store's form; texts of that form compare as their times
    do.
    """
    if not horizon or (ts >= horizon and ts.endswith("Z")):
        return False
    here, there = parse_time(ts), parse_time(horizon)
    return bool(here and there and here < there)


def parse_header(start: bytes) -> SessionHeader | None:
    """Return the header in the first bytes of a file: its first line, or the first after a line that a crash cut."""
    records = map(parse_line, start.split(b"\n"))
    return next((record for record in records if isinstance(record, SessionHeader)), None)


def find_key(start: bytes, path: Path) -> SessionKey | None:
    """Return whose file this is: the key inside decides; a file without one (of an older format) has only its
    name.
    """
    header = parse_header(start)
    return header.key if header else parse_file_name(path.stem)
