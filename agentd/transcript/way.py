"""Traces one message through its session's records, from its sending to its outcome (`agentd trace`). Pure, no I/O.

Only what the records say is reported: when a turn began, what was recalled and when the model was asked are in the log
alone, under the same trace id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from agentd.transcript.key import SessionKey
from agentd.transcript.records import (
    LOST_ENDING,
    UNNUMBERED,
    AssistantMessage,
    Command,
    Damaged,
    Delete,
    Delivery,
    Draft,
    Edit,
    Failure,
    Record,
    SessionHeader,
    Unknown,
    UserMessage,
)

__all__ = ["Hop", "Outcome", "Way", "follow", "numbered", "seqs_for"]

Outcome = Literal["answered", "failed", "deleted", "done", "pending"]
"""`done` is for commands, and for history, which needs no answer."""

REASONS = {
    "stopped": "stopped by /stop",
    "superseded": "ended by /new before there was a reply",
    "stale": "found too long after it was sent (channels_config.stale_after_minutes), so it was not answered unasked",
    "timeout": "the model took longer than agent.turn_timeout_seconds",
    "provider": "the model could not be asked, or broke off",
    "budget": "the day's tokens are used up ([limits])",
    "empty": "the model answered with nothing",
    "filtered": "the model's provider withheld the reply",
    "unsupported": "it holds nothing but files that cannot be used",
    "internal": "a fault of the daemon's: its log has the traceback (turn_crashed)",
    "unrecorded": "the disk refused what was to be shown",
    LOST_ENDING: "its ending was in a damaged record, which a repair took out",
}
"""The reasons of failures in plain words."""

TELLING = frozenset({"provider", "budget"})
"""Reasons whose notice is worth showing, since it says more and quotes nobody."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One step; `at` is RFC 3339, "" where no time is known; `seq` is its record's, None for what is no record."""

    at: str
    name: str
    what: str
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """The outcome of one message, and the steps to it."""

    message: UserMessage | Command
    key: SessionKey | None
    began: str
    """When the session's file was begun, from its header."""
    hops: tuple[Hop, ...]
    outcome: Outcome
    end: AssistantMessage | Failure | None
    waits_behind: tuple[int, ...] = ()
    """If it is pending: the earlier messages that are pending too."""
    is_delivered: bool = True
    """Whether nothing of it is left to deliver."""


def numbered(records: Iterable[Record | Damaged | Unknown]) -> Iterator[Record]:
    """Yield the records of a file in order, each with its seq; those without one (of an older format) get the next."""
    following = 0
    for record in records:
        if isinstance(record, Damaged):
            continue
        if record.seq == UNNUMBERED:
            record = msgspec.structs.replace(record, seq=following)
        following = max(following, record.seq + 1)
        if not isinstance(record, Unknown):
            yield record


def seqs_for(wanted: str, records: Iterable[Record]) -> dict[int, str]:
    """Return the messages that an id belongs to, by seq, with the chat; the id is a trace's or a platform's.

    The platform's id of a reply, of a command's answer, or of a notice leads to the message that it answers.
    """
    chats: dict[int, str] = {}
    answered: dict[int, int] = {}
    found: dict[int, str] = {}
    for record in records:
        match record:
            case UserMessage() | Command():
                chats[record.seq] = record.source.chat if record.source else ""
                if record.trace == wanted:
                    return {record.seq: chats[record.seq]}
                if record.source is not None and record.source.message_id == wanted:
                    found[record.seq] = chats[record.seq]
            case Draft(message_id=message_id, answers=(first, *_)) if message_id == wanted and first in chats:
                found[first] = chats[first]
            case AssistantMessage(answers=(first, *_)) | Failure(answers=(first, *_)):
                answered[record.seq] = first
            case Delivery(message_ids=ids, of=of) if wanted in ids and (first := answered.get(of, of)) in chats:
                found[first] = chats[first]
            case _:
                pass
    return found


def follow(records: Iterable[Record], seq: int) -> Way | None:
    """Return the way of the message or command with this seq; None if there is none."""
    tracker = _Tracker(seq)
    for record in records:
        tracker.take(record)
    return tracker.way()


class _Tracker:
    """Collects from a session's records, in order, what concerns one message."""

    def __init__(self, seq: int) -> None:
        self._seq = seq
        self._header: SessionHeader | None = None
        self._message: UserMessage | Command | None = None
        self._ends: list[AssistantMessage | Failure] = []
        self._is_deleted = False
        self._told: set[int] = set()
        """Seqs of records with a delivery."""
        self._waiting: dict[int, None] = {}
        self._hops: list[Hop] = []

    def take(self, record: Record) -> None:
        """Look at the next record."""
        match record:
            case SessionHeader():
                self._header = self._header or record
            case UserMessage() | Command():
                self._accept(record)
            case AssistantMessage() | Failure():
                self._end(record)
            case Draft() if self._concerns(record.answers):
                self._draft(record)
            case Delivery():
                self._deliver(record)
            case Edit() | Delete():
                self._change(record)
            case _:
                pass

    def way(self) -> Way | None:
        """Return the way; None if there is no such message."""
        if self._message is None:
            return None
        outcome = self._outcome(self._message)
        end = self._ends[-1] if self._ends else None
        is_told = not isinstance(end, Failure) or end.told
        left = end is not None and is_told and end.seq not in self._told
        return Way(
            message=self._message,
            key=self._header.key if self._header else None,
            began=self._header.ts if self._header else "",
            hops=tuple(self._hops),
            outcome=outcome,
            end=end,
            waits_behind=tuple(seq for seq in self._waiting if seq < self._seq) if outcome == "pending" else (),
            is_delivered=not left,
        )

    def _outcome(self, message: UserMessage | Command) -> Outcome:
        if self._ends:
            return "answered" if isinstance(self._ends[-1], AssistantMessage) else "failed"
        if self._seq not in self._waiting:
            return "deleted" if self._is_deleted else "done"
        return "done" if message.source is None else "pending"

    def _concerns(self, answers: tuple[int, ...]) -> bool:
        """Tell whether these answers include the message; a draft may be older than a message that joined its turn."""
        return self._message is not None and self._seq in answers

    def _accept(self, record: UserMessage | Command) -> None:
        if record.source is not None:
            self._waiting[record.seq] = None
        if record.seq != self._seq:
            return
        self._message = record
        if record.source is not None:
            self._hop(record.source.sent_at, "sent", "sent, by the platform's clock")
        files = len(record.attachments) if isinstance(record, UserMessage) else 0
        what = f"/{record.name}, a command, on disk" if isinstance(record, Command) else "accepted, on disk"
        self._hop(record.ts, "accepted", f"{what}{f', with {files} files' if files else ''}", record.seq)

    def _end(self, record: AssistantMessage | Failure) -> None:
        for seq in record.answers:
            self._waiting.pop(seq, None)
        if not self._concerns(record.answers):
            return
        self._ends.append(record)
        others = [seq for seq in record.answers if seq != self._seq]
        joined = f", together with {', '.join(f'#{seq}' for seq in others)}" if others else ""
        trace = f" (trace {record.trace})" if self._message and record.trace != self._message.trace else ""
        if isinstance(record, Failure):
            self._hop(record.ts, "failed", f"no reply: {_why(record)}{joined}{trace}", record.seq)
        else:
            cut = ", broken off" if record.outcome == "interrupted" else ""
            model = f" of {record.model}" if record.model else ""
            self._hop(record.ts, "replied", f"reply{model} on disk{cut}{joined}{trace}", record.seq)

    def _draft(self, record: Draft) -> None:
        part = f"part {record.part + 1}"
        if record.state == "sending":
            self._hop(record.ts, "sending", f"{part} is about to be shown", record.seq)
        else:
            self._hop(record.ts, "shown", f"{part} shown as the platform's message {record.message_id}", record.seq)

    def _deliver(self, record: Delivery) -> None:
        self._told.add(record.of)
        self._waiting.pop(record.of, None)
        if record.of != self._seq and all(record.of != end.seq for end in self._ends):
            return
        ids = f" as {', '.join(record.message_ids)}" if record.message_ids else ""
        what = {
            "sent": f"delivered{ids}",
            "uncertain": f"delivered{ids}, perhaps twice: the platform did not say whether a first try had arrived",
            "failed": "the platform refused it",
        }[record.state]
        self._hop(record.ts, "delivered", what, record.seq)

    def _change(self, record: Edit | Delete) -> None:
        if isinstance(record, Delete):
            self._waiting.pop(record.of, None)
        if record.of != self._seq:
            return
        name = "deleted" if isinstance(record, Delete) else "edited"
        self._is_deleted = self._is_deleted or isinstance(record, Delete)
        late = " after it had been answered" if self._ends else ""
        self._hop(record.ts, name, f"{name} by its author{late}", record.seq)

    def _hop(self, at: str, name: str, what: str, seq: int | None = None) -> None:
        self._hops.append(Hop(at, name, what, seq))


def _why(failure: Failure) -> str:
    reason = REASONS.get(failure.reason, failure.reason)
    return f"{reason}: {failure.notice}" if failure.reason in TELLING and failure.notice else reason
