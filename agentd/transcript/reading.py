"""Reading a session back from its end: how far is enough, and what the file's state is for its next append."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentd.transcript.clock import parse_time
from agentd.transcript.disk import Disk
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.records import (
    UNNUMBERED,
    AssistantMessage,
    Command,
    Compaction,
    Damaged,
    Delivery,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    UserMessage,
    parse_line,
)
from agentd.transcript.view import SEEN_HOURS, SEEN_MESSAGES, Transcript, fold

__all__ = ["MOST_CHARACTERS", "Horizon", "Loaded", "find_key", "load"]

MOST_CHARACTERS = 32_000 * 12
"""What the seed's context of 32,000 tokens can hold, at no more than 12 characters a token."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session read back."""

    view: Transcript
    length: int
    ends_in_newline: bool


class Horizon:
    """Tells, fed with records from the newest back, what those before can still matter for.

    The live part reaches back to the last reset, or to the end of what the compaction in force covers, and no
    further than a prompt can: `most_characters` of text. It holds all that is unsettled: a turn takes the oldest
    messages that wait, after every command before them, and is delivered before the next, so what came before the
    messages of a delivered turn is settled. The ids of messages are kept further back, for redeliveries.
    A record without a seq says nothing of where it stands: then only the start of the file will do.
    """

    def __init__(self, most_characters: int) -> None:
        """Begin at the end of a file."""
        self._most_characters = most_characters
        self._characters = 0
        self._live_from: int | None = None
        self._undone: set[int] = set()
        self._delivered: set[int] = set()
        self._settled_before = -1
        self._numbered = True
        self._newest = ""
        self._accepted = 0
        self.live_is_read = False
        """Whether older records matter for their ids only."""
        self.ids_are_read = False
        """Whether older records do not matter at all."""
        self.is_cut = False
        """Whether text of the live part stands before what was read of it."""

    def pass_by(self, record: Record | Damaged | Unknown) -> None:
        """Take in the next older record."""
        if isinstance(record, Damaged):
            return
        self._numbered = self._numbered and record.seq != UNNUMBERED
        self._newest = self._newest or record.ts
        self._see(record)
        if self._numbered and not self.live_is_read:
            is_settled = record.seq <= self._settled_before
            is_framed = self._live_from is not None and record.seq <= self._live_from
            self.is_cut = is_settled and not is_framed and self._characters > self._most_characters
            self.live_is_read = is_settled and (is_framed or self.is_cut)
        if self.live_is_read and isinstance(record, UserMessage | Command):
            self.ids_are_read = self._accepted >= SEEN_MESSAGES and self._is_old(record.ts)

    def _see(self, record: Record | Unknown) -> None:
        match record:
            case UserMessage() | Command():
                self._accepted += 1
                self._characters += len(record.content) if isinstance(record, UserMessage) else 0
            case AssistantMessage() | Failure():
                self._see_ending(record)
            case Delivery():
                self._delivered.add(record.of)
            case Undo():
                self._undone.add(record.of)
            case Reset() if self._live_from is None:
                self._live_from = record.seq
            case Compaction() if self._live_from is None and record.seq not in self._undone:
                self._live_from = record.covers[1]
            case _:
                pass

    def _see_ending(self, ending: AssistantMessage | Failure) -> None:
        is_silent = isinstance(ending, Failure) and not ending.told
        if ending.answers and (is_silent or ending.seq in self._delivered):
            self._settled_before = max(self._settled_before, min(ending.answers))
        if isinstance(ending, AssistantMessage):
            self._characters += len(ending.content)

    def _is_old(self, ts: str) -> bool:
        newest, here = parse_time(self._newest), parse_time(ts)
        return bool(newest and here and (newest - here).total_seconds() > SEEN_HOURS * 3600)


def load(
    disk: Disk, path: Path, length: int, most_characters: int = MOST_CHARACTERS, *, with_ids: bool = True
) -> Loaded:
    """Read the live part of a file of so many bytes; a last line without its newline counts if it is whole.

    Without ids it is enough to know what is unsettled.
    """
    horizon = Horizon(most_characters)
    live: list[Record | Damaged | Unknown] = []
    older: list[UserMessage | Command] = []
    ends_in_newline = True
    for index, line in enumerate(disk.lines_backwards(path, length)):
        if not line.strip():
            continue
        ends_in_newline = ends_in_newline and index > 0
        record = parse_line(line)
        if not horizon.live_is_read:
            live.append(record)
        elif isinstance(record, UserMessage | Command):
            older.append(record)
        horizon.pass_by(record)
        if horizon.ids_are_read or (horizon.live_is_read and not with_ids):
            break
    view = fold(reversed(live))
    view.is_cut = horizon.is_cut
    view.remember_older(reversed(older))
    return Loaded(view, length, ends_in_newline)


def find_key(start: bytes, path: Path) -> SessionKey | None:
    """Return whose file this is: the key inside decides; a file that the seed wrote has only its name."""
    # The header is the first line, or the first after one that a crash cut.
    for line in start.split(b"\n"):
        record = parse_line(line)
        if isinstance(record, SessionHeader):
            return record.key
    return parse_file_name(path.stem)
