"""Checks each record against those before it: which record may follow which, and what it may name. Pure, no I/O.

A record that replaces a lost one (`erased`, or a `failure` with the reason "lost") may have been anything: naming it is
no fault, and records after it are not blamed for what the lost one may have settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

from agentd.transcript.coverage import Coverage
from agentd.transcript.records import (
    LOST_ENDING,
    AssistantMessage,
    Command,
    Compaction,
    Delete,
    Delivery,
    Draft,
    Edit,
    Erased,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    UserMessage,
)

__all__ = ["Rules"]


class _Kind(IntEnum):
    OTHER = 0
    USER = 1
    COMMAND = 2
    RETRY = 3
    REPLY = 4
    FAILURE = 5
    COMPACTION = 6
    LOST = 7


class _Mark(IntFlag):
    ANSWERED = 1
    DELIVERED = 2
    UNDONE = 4


_SPOKEN = (_Kind.USER, _Kind.COMMAND, _Kind.RETRY, _Kind.LOST)
_ENDS = (_Kind.REPLY, _Kind.FAILURE, _Kind.LOST)
_NAMES: dict[int, str] = {
    _Kind.USER: "a message",
    _Kind.COMMAND: "a command",
    _Kind.RETRY: "a command",
    _Kind.REPLY: "a reply",
    _Kind.FAILURE: "a failure",
    _Kind.COMPACTION: "a compaction",
}


@dataclass(slots=True)
class Rules:
    """The state after the records so far: two bytes per record, and the line numbers of pending ones."""

    coverage: Coverage
    pending: dict[int, int] = field(default_factory=dict)
    """Messages and commands that are not settled: seq to line number."""
    undelivered: dict[int, int] = field(default_factory=dict)
    """Replies and notices without a delivery: seq to line number."""
    settled_before: int = 0
    """Everything before this seq was settled, since a turn for that message was delivered (see `settling`)."""
    _kinds: bytearray = field(default_factory=bytearray)
    _marks: bytearray = field(default_factory=bytearray)
    _commands: dict[int, Command] = field(default_factory=dict)
    _firsts: dict[int, int] = field(default_factory=dict)
    _begun: set[tuple[int, int]] = field(default_factory=set)
    _in_force: list[tuple[int, int]] = field(default_factory=list)
    _first_user: int | None = None
    _began_at: int = 0
    _last_lost: int = -1

    def fault(self, record: Record | Unknown) -> str | None:
        """Return what is wrong with the next record, given those before it; None if nothing is."""
        return next(self._faults(record), None)

    def lose(self, seq: int) -> None:
        """Note that the record with the next seq is lost."""
        self._put(_Kind.LOST)
        self._last_lost = seq
        self.coverage.take(seq, None)

    def take(self, record: Record | Unknown, line_number: int, line: bytes) -> None:
        """Add the next record, which has no fault."""
        self._put(_kind(record))
        self.coverage.take(record.seq, line)
        match record:
            case UserMessage():
                self._first_user = record.seq if self._first_user is None else self._first_user
                if record.source is not None:
                    self.pending[record.seq] = line_number
            case Command():
                self.pending[record.seq] = line_number
                self._commands[record.seq] = record
            case AssistantMessage() | Failure():
                self._end(record, line_number)
            case Delivery():
                self._mark(record.of, _Mark.DELIVERED)
                self._settle(record.of)
                if self.undelivered.pop(record.of, None) is not None:
                    self.settled_before = max(self.settled_before, self._firsts.pop(record.of, 0))
            case Draft() if record.state == "sending":
                self._begun.add((min(record.answers), record.part))
            case Delete():
                self._settle(record.of)
            case Erased():
                self._last_lost = record.seq
            case _:
                self._frame(record)

    @property
    def unended(self) -> list[int]:
        """Return the messages without an ending, though a later turn proves that there was one."""
        return [seq for seq in self.pending if seq < self.settled_before and self._kind(seq) == _Kind.USER]

    @property
    def unconfirmed(self) -> list[int]:
        """Return the commands, replies and notices without a delivery, though a later turn proves that there
        was one.
        """
        waiting = (seq for seq in self.pending if self._kind(seq) != _Kind.USER)
        return sorted(seq for seq in (*waiting, *self.undelivered) if seq < self.settled_before)

    def _faults(self, record: Record | Unknown) -> Iterator[str]:
        match record:
            case SessionHeader() if record.seq > 0:
                yield "a second session record"
            case AssistantMessage() | Failure():
                yield from self._end_faults(record)
            case Draft():
                yield from self._draft_faults(record)
            case Delivery():
                yield from self._names("of", record.of, (*_ENDS, _Kind.COMMAND, _Kind.RETRY))
                if self._has(record.of, _Mark.DELIVERED):
                    yield f"record {record.of} is delivered a second time"
            case Edit() | Delete():
                yield from self._names("of", record.of, _SPOKEN)
            case _:
                yield from self._frame_faults(record)

    def _frame_faults(self, record: Record | Unknown) -> Iterator[str]:
        match record:
            case Compaction():
                yield from self._compaction_faults(record)
            case Undo():
                yield from self._names("of", record.of, (_Kind.COMPACTION, _Kind.LOST))
                if self._has(record.of, _Mark.UNDONE):
                    yield f"compaction {record.of} is undone a second time"
            case Reset():
                yield from self._reset_faults(record)
            case _:
                pass

    def _end_faults(self, record: AssistantMessage | Failure) -> Iterator[str]:
        allowed = _SPOKEN if isinstance(record, Failure) else (_Kind.USER, _Kind.RETRY, _Kind.LOST)
        for seq in record.answers:
            yield from self._names("answers", seq, allowed)
        if len(set(record.answers)) < len(record.answers):
            yield "answers names the same record twice"
        # The answer to a /retry replaces the earlier answer, and may name its messages too.
        repeats = any(self._kind(seq) == _Kind.RETRY and seq in self.pending for seq in record.answers)
        for seq in record.answers:
            if self._has(seq, _Mark.ANSWERED) and not (repeats and self._kind(seq) == _Kind.USER):
                yield f"message {seq} is answered a second time"

    def _draft_faults(self, record: Draft) -> Iterator[str]:
        if record.part < 0:
            yield f"a draft of part {record.part}"
        for seq in record.answers:
            yield from self._names("answers", seq, (*_SPOKEN, *_ENDS))
        first = min(record.answers, default=None)
        if first is None:
            yield "a draft of no message"
        elif record.state == "sent" and not record.message_id:
            yield "a draft is sent, but has no message_id"
        elif record.state == "sent" and (first, record.part) not in self._begun and self._last_lost < first:
            yield f"part {record.part} is sent, but was never begun (sending)"

    def _compaction_faults(self, record: Compaction) -> Iterator[str]:
        start, end = record.covers
        if not 0 <= start <= end < record.seq:
            yield f"covers [{start}, {end}] is no range of earlier records"
        elif self.coverage.digest(start, end) != record.digest.lower():
            yield f"the digest is not that of the records {start} to {end}"
        elif self._kind(end) not in (_Kind.USER, _Kind.LOST):
            yield f"covers ends at record {end}, which is no message"
        elif end > self._began_at:
            yield from self._range_faults(start, end)

    def _range_faults(self, start: int, end: int) -> Iterator[str]:
        """Yield what is wrong with a range of this conversation; ranges before a reset are ignored anyway."""
        first = self._first_user
        if first is not None and start != first and not self._began_at <= start <= first and self._last_lost < first:
            yield f"covers starts at record {start}, but the conversation at {first}"
        for seq in self.pending:
            if seq <= end and seq > self._last_lost and self._kind(seq) == _Kind.USER:
                yield f"covers message {seq}, which had no end yet"
        if self._in_force and end < self._in_force[-1][1]:
            yield f"covers less than the compaction in force, which reaches to {self._in_force[-1][1]}"

    def _reset_faults(self, record: Reset) -> Iterator[str]:
        """Messages after the command `/new` and before its reset belong to the new conversation."""
        by = [seq for seq, command in self._commands.items() if seq in self.pending and command.source == record.source]
        limit = by[-1] if by else record.seq
        if record.source is None and self._last_lost > self._began_at:
            return  # the asker and the command were erased: what came after the command is unknown
        for seq in self.pending:
            if self._last_lost < seq < limit and self._kind(seq) != _Kind.COMMAND:
                yield f"a reset, but message {seq} before it had no end yet"

    def _names(self, field_name: str, seq: int, kinds: tuple[int, ...]) -> Iterator[str]:
        kind = self._kind(seq)
        if kind is None:
            yield f"{field_name} names record {seq}, which is not before it"
        elif kind not in kinds:
            yield f"{field_name} names record {seq}, which is {_NAMES.get(kind, 'of another kind')}"

    def _end(self, record: AssistantMessage | Failure, line_number: int) -> None:
        for seq in record.answers:
            self._mark(seq, _Mark.ANSWERED)
            self._settle(seq)
        if record.answers if isinstance(record, AssistantMessage) else record.told:
            self.undelivered[record.seq] = line_number
            first = min(record.answers, default=0)
            if self._kind(first) == _Kind.USER and not record.beside:
                self._firsts[record.seq] = first
        if _kind(record) == _Kind.LOST:
            self._last_lost = record.seq

    def _frame(self, record: Record | Unknown) -> None:
        match record:
            case Compaction():
                self._in_force.append((record.seq, record.covers[1]))
            case Undo():
                self._mark(record.of, _Mark.UNDONE)
                self._in_force = [kept for kept in self._in_force if kept[0] != record.of]
            case Reset():
                self._in_force.clear()
                self._began_at = record.seq
                self._first_user = min((s for s in self.pending if self._kind(s) == _Kind.USER), default=None)
            case _:
                pass

    def _settle(self, seq: int) -> None:
        self.pending.pop(seq, None)
        self._commands.pop(seq, None)

    def _put(self, kind: _Kind) -> None:
        self._kinds.append(kind)
        self._marks.append(0)

    def _kind(self, seq: int) -> int | None:
        return self._kinds[seq] if 0 <= seq < len(self._kinds) else None

    def _has(self, seq: int, mark: _Mark) -> bool:
        return 0 <= seq < len(self._marks) and self._marks[seq] & mark != 0

    def _mark(self, seq: int, mark: _Mark) -> None:
        self._marks[seq] |= mark


def _kind(record: Record | Unknown) -> _Kind:
    match record:
        case UserMessage():
            return _Kind.USER
        case Command(name="retry"):
            return _Kind.RETRY
        case Command():
            return _Kind.COMMAND
        case AssistantMessage():
            return _Kind.REPLY
        case Failure(reason=reason) if reason == LOST_ENDING:
            return _Kind.LOST
        case Failure():
            return _Kind.FAILURE
        case Compaction():
            return _Kind.COMPACTION
        case Erased():
            return _Kind.LOST
        case _:
            return _Kind.OTHER
