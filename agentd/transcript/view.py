"""The transcript: folds a session's records into what they mean, one record at a time, with no I/O and no clock.

A message is pending until an answer or a failure names it; a command until its own delivery names it, or an answer does
(`/retry`: that answer replaces the last turn's); either, until its author deletes it. A reply, and the notice of a
failure, is undelivered until a delivery names it. The order of `turns` is that in which turns ended, not that in which
messages came: a message may be accepted while another is being answered. `knows` recognises a redelivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import msgspec

from agentd.transcript.key import SessionKey
from agentd.transcript.records import (
    UNNUMBERED,
    AssistantMessage,
    Command,
    Compaction,
    Damaged,
    Delete,
    Delivery,
    Draft,
    Edit,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Source,
    Undo,
    Unknown,
    UserMessage,
)
from agentd.transcript.seen import Seen

__all__ = [
    "AFTER_EVERY_TIME",
    "DELETED_TEXT",
    "DraftPart",
    "Transcript",
    "Turn",
    "fold",
    "live_from",
]

DELETED_TEXT = "[This message was deleted by its author.]"

AFTER_EVERY_TIME = "~"
"""Sorts after all times, so that no late edit brings a deleted text back."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages that were answered together, and how that ended; None: no reply (history, or deleted before one)."""

    messages: tuple[UserMessage, ...]
    end: AssistantMessage | Failure | None


@dataclass(frozen=True, slots=True)
class DraftPart:
    """One platform message of an undelivered reply; without an id nobody knows whether it arrived."""

    message_id: str | None
    tries: int
    """How often it was begun; if more than once, an earlier copy may stand above it."""
    begun: str
    """When it was last begun, in a record's form."""
    begun_up: tuple[str, float] | None = None
    """The same by the machine's uptime: its boot id, and seconds since it started; None: not on record."""


@dataclass(slots=True)
class Transcript:
    """The state of one session after its records so far; only `apply` and `forget_covered` change it."""

    key: SessionKey | None = None
    began: str = ""
    """When the file was begun, from its header."""
    next_seq: int = 0
    damaged_lines: int = 0
    is_cut: bool = False
    """Whether the conversation has text before `turns`, more than a prompt can hold."""
    turns: list[Turn] = field(default_factory=list)
    pending: dict[int, UserMessage] = field(default_factory=dict)
    commands: dict[int, Command] = field(default_factory=dict)
    acted: set[int] = field(default_factory=set)
    """Pending commands whose effect is already on record."""
    undelivered: dict[int, AssistantMessage | Failure] = field(default_factory=dict)
    drafts: dict[int, dict[int, DraftPart]] = field(default_factory=dict)
    """For undelivered replies, the platform messages begun or sent, by the turn's first seq and part."""
    compactions: list[Compaction] = field(default_factory=list)
    token_factor: float | None = None
    """How many tokens the model counts per estimated token; None: this conversation has not learnt it yet."""
    is_undone: bool = False
    """Whether the newest compaction was revoked, and none was made since."""
    edited: dict[int, tuple[str, str]] = field(default_factory=dict)
    """For edited or deleted messages, the last change's time and text: a late, older edit is ignored."""
    seen: Seen = field(default_factory=Seen)
    """The ids of accepted messages, across resets, to recognise redeliveries."""
    _unended: set[int] = field(default_factory=set)
    """Messages of turns without an end, which an ending may still name."""
    _begun_answers: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """What each begun but unfinished reply answers, by the first seq."""
    _reset_at: int = UNNUMBERED
    _begins_at: int = UNNUMBERED
    """Where the conversation begins: at the last reset, or at the first message between `/new` and its reset."""

    def apply(self, record: Record | Damaged | Unknown) -> None:
        """Apply the next record of the file; one without a seq (of an older format) gets the next."""
        if isinstance(record, Damaged):
            self.damaged_lines += 1
            return
        if record.seq == UNNUMBERED:
            record = msgspec.structs.replace(record, seq=self.next_seq)
        self.next_seq = max(self.next_seq, record.seq + 1)
        match record:
            case UserMessage(source=None):
                self._add_unended(record)
            case UserMessage(source=Source() as source):
                self.seen.add(source.chat, source.message_id, record.seq, record.ts)
                self.pending[record.seq] = record
            case Command():
                self.seen.add(record.source.chat, record.source.message_id, record.seq, record.ts)
                self.commands[record.seq] = record
            case AssistantMessage() | Failure():
                self._end_turn(record)
            case Draft():
                self._draft(record)
            case Delivery():
                self._deliver(record)
            case Edit() | Delete():
                self._change(record)
            case _:
                self._frame(record)

    def knows(self, chat: str, message_id: str) -> int | None:
        """Return the seq of a message or command that was accepted already (a redelivery); None for a new one."""
        return self.seen.find(chat, message_id)

    def knows_change(self, change: Edit | Delete) -> bool:
        """Tell whether an edit or deletion, or a later one of the same message, is on record already."""
        when, content = _change(change)
        known = self.edited.get(change.of)
        return known is not None and (when < known[0] or (when, content) == known)

    def begun_for(self, seqs: Iterable[int]) -> tuple[int, ...]:
        """Return what a begun but unfinished reply to any of these answers; empty if there is none."""
        wanted = set(seqs)
        return next((answers for answers in self._begun_answers.values() if not wanted.isdisjoint(answers)), ())

    def is_settled(self, seq: int) -> bool:
        """Tell whether a message or command is neither pending nor part of an undelivered reply."""
        waiting = seq in self.pending or seq in self.commands
        return not waiting and not any(seq in end.answers for end in self.undelivered.values())

    @property
    def unsettled(self) -> list[int]:
        """Return the seqs of all messages and commands that are not settled."""
        undelivered = (seq for end in self.undelivered.values() for seq in end.answers)
        return [*self.pending, *self.commands, *undelivered]

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is pending or undelivered."""
        return not (self.pending or self.commands or self.undelivered)

    @property
    def summary(self) -> Compaction | None:
        """Return the compaction in force; None if there is none."""
        return self.compactions[-1] if self.compactions else None

    @property
    def live_turns(self) -> list[Turn]:
        """Return the turns that the compaction in force does not cover, in the prompt's order."""
        if self.summary is None:
            return self.turns
        _, to = self.summary.covers
        return [turn for turn in self.turns if turn.messages[-1].seq > to]

    def forget_covered(self) -> None:
        """Drop the turns that the compaction in force covers; after an undo the file is read again."""
        if self.summary is not None:
            self.turns, self.compactions = self.live_turns, [self.summary]
            self.is_cut = False

    @property
    def last_ended(self) -> Turn | None:
        """Return the newest turn with an answer or a failure: the one that `/retry` repeats."""
        return next((turn for turn in reversed(self.live_turns) if turn.end is not None), None)

    def _end_turn(self, end: AssistantMessage | Failure) -> None:
        if not end.answers and isinstance(end, AssistantMessage):
            self._end_history(end)
            return
        if isinstance(end, AssistantMessage) and end.usage.factor is not msgspec.UNSET:
            self.token_factor = end.usage.factor
        messages = self._take(end.answers)
        repeats = [seq for seq in end.answers if self.commands.pop(seq, None)]
        if messages:
            self.turns.append(Turn(messages, end))
        elif repeats and isinstance(end, AssistantMessage):
            self._repeat(end)
        if isinstance(end, AssistantMessage) or end.told:
            self.undelivered[end.seq] = end
        else:
            self.drafts.pop(min(end.answers, default=end.seq), None)
        self._begun_answers.pop(min(end.answers, default=end.seq), None)

    def _repeat(self, end: AssistantMessage) -> None:
        """Replace the last answer by the answer to `/retry`; a turn of a deleted message may come after it."""
        repeated = self.last_ended
        if repeated is not None:
            self.turns[self.turns.index(repeated)] = replace(repeated, end=end)

    def _end_history(self, end: AssistantMessage) -> None:
        """Join a reply without `answers` to the history message just before it."""
        if self.turns and self.turns[-1].end is None:
            self._unended.difference_update(message.seq for message in self.turns[-1].messages)
            self.turns[-1] = replace(self.turns[-1], end=end)

    def _add_unended(self, message: UserMessage) -> None:
        self.turns.append(Turn((message,), None))
        self._unended.add(message.seq)

    def _take(self, seqs: tuple[int, ...]) -> tuple[UserMessage, ...]:
        """Take messages out of the pending ones, and out of the turns without an end."""
        found = {seq: self.pending.pop(seq) for seq in seqs if seq in self.pending}
        if not self._unended.isdisjoint(seqs):
            taken = [turn for turn in self.turns if turn.end is None and turn.messages[0].seq in seqs]
            self.turns = [turn for turn in self.turns if turn not in taken]
            self._unended.difference_update(seqs)
            found |= {turn.messages[0].seq: turn.messages[0] for turn in taken}
        return tuple(found[seq] for seq in dict.fromkeys(seqs) if seq in found)

    def _draft(self, record: Draft) -> None:
        first = min(record.answers, default=record.seq)
        self._begun_answers[first] = record.answers
        parts = self.drafts.setdefault(first, {})
        before = parts.get(record.part)
        if record.state == "sending" or before is None:
            tries, up = before.tries + 1 if before else 1, record.up or None
            parts[record.part] = DraftPart(record.message_id, tries, record.ts, up)
        else:
            parts[record.part] = replace(before, message_id=record.message_id)

    def _deliver(self, record: Delivery) -> None:
        self.commands.pop(record.of, None)
        self.acted.discard(record.of)
        end = self.undelivered.pop(record.of, None)
        first = min(end.answers, default=end.seq) if end else record.of
        self.drafts.pop(first, None)
        self._begun_answers.pop(first, None)

    def _frame(self, record: Record | Unknown) -> None:
        match record:
            case SessionHeader():
                self.key, self.began = record.key, record.ts
            case Compaction() if _counts(record, self._reset_at, self._begins_at):
                self.compactions.append(record)
                self.is_undone = False
            case Undo():
                self.compactions = [kept for kept in self.compactions if kept.seq != record.of]
                self.is_undone = True
                self._act(record.source)
            case Reset():
                self._reset(record)

    def _reset(self, record: Reset) -> None:
        self._reset_at, self._begins_at = record.seq, min((record.seq, *self.pending))
        self.turns.clear()
        self._unended.clear()
        self.compactions.clear()
        self.is_undone, self.token_factor = False, None
        self.edited = {seq: when for seq, when in self.edited.items() if seq in self.pending}
        self._act(record.source)

    def _act(self, source: Source | None) -> None:
        """Note that a command's effect is on record."""
        self.acted.update(seq for seq, command in self.commands.items() if command.source == source)

    def _change(self, record: Edit | Delete) -> None:
        when, content = _change(record)
        if record.of in self.edited and when < self.edited[record.of][0]:
            return
        self.edited[record.of] = when, content
        if isinstance(record, Delete):
            self.commands.pop(record.of, None)
            self.acted.discard(record.of)
        if record.of in self.pending:
            self._change_pending(self.pending[record.of], content, deleted=isinstance(record, Delete))
            return
        for index in reversed(range(len(self.turns))):
            turn = self.turns[index]
            if any(message.seq == record.of for message in turn.messages):
                self.turns[index] = replace(turn, messages=tuple(_edited(turn, record.of, content)))
                return

    def _change_pending(self, message: UserMessage, content: str, *, deleted: bool) -> None:
        message = msgspec.structs.replace(message, content=content)
        if deleted:
            # Settled: nothing will answer it, except a turn that is running already, whose ending includes it.
            del self.pending[message.seq]
            self._add_unended(message)
        else:
            self.pending[message.seq] = message


def live_from(view: Transcript) -> int:
    """Return the seq from which on `live_turns` holds all answered turns; earlier ones are in the file only."""
    if view.summary is not None:
        return view.summary.covers[1] + 1
    if view.is_cut and view.turns:
        return view.turns[0].messages[0].seq
    return max(view._begins_at, 0)


def fold(records: Iterable[Record | Damaged | Unknown]) -> Transcript:
    """Return the session that these records, in the order of the file, result in."""
    transcript = Transcript()
    for record in records:
        transcript.apply(record)
    return transcript


def _counts(summary: Compaction, reset_at: int, begins_at: int) -> bool:
    """Tell whether a summary counts for this conversation.

    It does not if a reset came while it was made, or if it is damaged so that it would hide what comes after it.
    """
    start, end = summary.covers
    return end < summary.seq and (end > reset_at or start >= begins_at)


def _change(record: Edit | Delete) -> tuple[str, str]:
    """Return when a message was changed, and its new text."""
    if isinstance(record, Edit):
        return record.edited_at, record.content
    return AFTER_EVERY_TIME, DELETED_TEXT


def _edited(turn: Turn, seq: int, content: str) -> Iterator[UserMessage]:
    for message in turn.messages:
        yield msgspec.structs.replace(message, content=content) if message.seq == seq else message
