"""Reading a session back from its end: how far is enough, and what the file's state is for its next append."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentd.transcript.clock import parse_time
from agentd.transcript.disk import Disk
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.records import (
    UNNUMBERED,
    Command,
    Compaction,
    Damaged,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    UserMessage,
    parse_line,
)
from agentd.transcript.view import SEEN_HOURS, SEEN_MESSAGES, Transcript, fold

__all__ = ["Horizon", "Loaded", "find_key", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session read back."""

    view: Transcript
    length: int
    ends_in_newline: bool


class Horizon:
    """Tells, fed with records from the newest back, when those before cannot matter any more.

    The live part reaches back to the last reset, or to the end of what the compaction in force covers. The ids of
    messages are kept further back, for redeliveries. A record without a seq says nothing of where it stands: then
    only the start of the file will do.
    """

    def __init__(self) -> None:
        """Begin at the end of a file."""
        self._live_from: int | None = None
        self._undone: set[int] = set()
        self._numbered = True
        self._newest = ""
        self._accepted = 0
        self._ids_enough = False
        self._live_enough = False

    def passes(self, record: Record | Damaged | Unknown) -> bool:
        """Take in the next older record; return True when nothing before it is needed."""
        if isinstance(record, Damaged):
            return False
        self._numbered = self._numbered and record.seq != UNNUMBERED
        self._newest = self._newest or record.ts
        self._see(record)
        if self._live_from is not None and record.seq <= self._live_from:
            self._live_enough = True
        return self._numbered and self._live_enough and self._ids_enough

    def _see(self, record: Record | Unknown) -> None:
        match record:
            case UserMessage() | Command():
                self._accepted += 1
                self._ids_enough = self._accepted >= SEEN_MESSAGES and self._is_old(record.ts)
            case Undo():
                self._undone.add(record.of)
            case Reset() if self._live_from is None:
                self._live_from = record.seq
            case Compaction() if self._live_from is None and record.seq not in self._undone:
                self._live_from = record.covers[1]
            case _:
                pass

    def _is_old(self, ts: str) -> bool:
        newest, here = parse_time(self._newest), parse_time(ts)
        return bool(newest and here and (newest - here).total_seconds() > SEEN_HOURS * 3600)


def load(disk: Disk, path: Path, length: int) -> Loaded:
    """Read the live part of a file of so many bytes; a last line without its newline counts if it is whole."""
    horizon, newest_first = Horizon(), list[Record | Damaged | Unknown]()
    ends_in_newline = True
    for index, line in enumerate(disk.lines_backwards(path, length)):
        if not line.strip():
            continue
        ends_in_newline = ends_in_newline and index > 0
        newest_first.append(parse_line(line))
        if horizon.passes(newest_first[-1]):
            break
    return Loaded(fold(reversed(newest_first)), length, ends_in_newline)


def find_key(start: bytes, path: Path) -> SessionKey | None:
    """Return whose file this is: the key inside decides; a file that the seed wrote has only its name."""
    # The header is the first line, or the first after one that a crash cut.
    for line in start.split(b"\n"):
        record = parse_line(line)
        if isinstance(record, SessionHeader):
            return record.key
    return parse_file_name(path.stem)
