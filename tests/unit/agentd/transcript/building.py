"""This module builds transcript records: one by one, at random, and as histories that an actor would write."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from agentd.transcript.clock import format_time
from agentd.transcript.disk import Disk, Write
from agentd.transcript.key import SessionKey
from agentd.transcript.records import (
    FORMAT_VERSION,
    AssistantMessage,
    Author,
    Command,
    Compaction,
    Delete,
    Delivery,
    Draft,
    Edit,
    Erased,
    Failure,
    FileAttachment,
    Record,
    Reset,
    SessionHeader,
    Source,
    TokenUsage,
    Undo,
    UserMessage,
    encode_line,
)
from agentd.transcript.view import Transcript, Turn, fold

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = SessionKey("fake", "bot", "chat")
OTHER_KEY = SessionKey("fake", "bot", "other")
ADA = Author(id="ada", name="Ada")

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How properties are run: what they claim is no matter of time, and the machine may be busy."""

R = TypeVar("R", bound=msgspec.Struct)


def start_clock() -> datetime:
    """Return the same moment always."""
    return START


def source(message_id: str, chat: str = "chat", sent_at: str = "") -> Source:
    return Source(chat=chat, message_id=message_id, sent_at=sent_at, author=ADA)


def user(message_id: str, content: str = "", *, seq: int = -1, ts: str = "") -> UserMessage:
    """Return a message that waits for its answer."""
    return UserMessage(content=content or f"text of {message_id}", source=source(message_id), seq=seq, ts=ts)


def answer(*answers: int, content: str = "a reply", seq: int = -1) -> AssistantMessage:
    return AssistantMessage(content=content, answers=answers, seq=seq)


def command(name: str, message_id: str = "c", *, seq: int = -1) -> Command:
    return Command(name=name, source=source(message_id), seq=seq)


def failure(*answers: int, told: bool = True, seq: int = -1) -> Failure:
    return Failure(answers=answers, reason="provider", told=told, notice="Sorry." if told else "", seq=seq)


def compaction(to: int, *, seq: int = -1, summary: str = "a summary") -> Compaction:
    return Compaction(covers=(0, to), digest="0" * 64, summary=summary, seq=seq)


def numbered(*records: Record) -> list[Record]:
    """Give records their places in a file."""
    return [
        msgspec.structs.replace(record, seq=seq, ts=format_time(START + timedelta(seconds=seq)))
        for seq, record in enumerate(records)
    ]


def view_of(*given: Record) -> Transcript:
    """Fold these records, numbered from 0."""
    return fold(numbered(*given))


def sent(of: int) -> Delivery:
    return Delivery(of=of, message_ids=("p1",), state="sent")


def contents(turns: list[Turn]) -> list[tuple[list[str], str | None]]:
    """Return each turn's texts, and its reply or the reason that there is none."""
    return [([message.content for message in turn.messages], ending(turn)) for turn in turns]


def ending(turn: Turn) -> str | None:
    if isinstance(turn.end, Failure):
        return turn.end.reason
    return turn.end.content if turn.end else None


def as_file(records: list[Record]) -> bytes:
    return b"".join(map(encode_line, records))


def put(disk: Disk, path: Path, content: bytes) -> int:
    """Make a file of these bytes, and return its length."""
    assert disk.commit([Write(path, 0, content)]) == [None]
    return len(content)


texts = st.text(max_size=40) | st.sampled_from(
    [
        "\x00\x01\x1f\x7f",
        "a\u2028b\u2029c\u0085",
        "\r\n\n\v\f",
        "שלום \u202eabc\u202c",
        "👨‍👩‍👧‍👦🇩🇪e\u0301",
        '"\\/{}[]',
        "\ufeff",
    ]
)
"""Texts that a line-based format has to survive; without lone surrogates, which are no Unicode."""

seqs = st.integers(0, 40)
answered = st.lists(seqs, max_size=4).map(tuple)
moments = st.integers(0, 10**6).map(lambda seconds: format_time(START + timedelta(seconds=seconds)))
sources = st.builds(
    Source, chat=texts, message_id=texts, sent_at=moments | texts, author=st.builds(Author, id=texts, name=texts)
)
keys = st.builds(SessionKey, texts, texts, texts, st.none() | texts, st.none() | texts)


def some(kind: Callable[..., R], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[R]:
    """Return a strategy for one type of record, numbered or not."""
    return st.builds(kind, seq=st.integers(-1, 40), ts=moments | texts, **fields)


attachments = st.builds(FileAttachment, name=texts, media_type=texts, size_bytes=st.integers(0, 2**60), path=texts)
usages = st.builds(TokenUsage, input_tokens=st.integers(0, 2**60), output_tokens=st.integers(0, 2**60))

records: st.SearchStrategy[Record] = st.one_of(
    some(SessionHeader, version=st.integers(0, 9), key=keys),
    some(
        UserMessage,
        content=texts,
        source=st.none() | sources,
        attachments=st.lists(attachments, max_size=2).map(tuple),
        trace=texts,
    ),
    some(
        AssistantMessage,
        content=texts,
        answers=answered,
        outcome=st.sampled_from(["complete", "interrupted"]),
        model=texts,
        usage=usages,
        trace=texts,
    ),
    some(Command, name=texts, args=texts, source=sources, trace=texts),
    some(
        Draft,
        answers=answered,
        part=st.integers(0, 3),
        state=st.sampled_from(["sending", "sent"]),
        message_id=st.none() | texts,
    ),
    some(
        Delivery,
        of=seqs,
        message_ids=st.lists(texts, max_size=2).map(tuple),
        state=st.sampled_from(["sent", "uncertain", "failed"]),
    ),
    some(Failure, answers=answered, reason=texts, told=st.booleans(), notice=texts, trace=texts),
    some(
        Compaction,
        covers=st.tuples(seqs, seqs),
        digest=texts,
        summary=texts,
        model=texts,
        tokens_before=st.integers(0, 10**6),
        tokens_after=st.integers(0, 10**6),
    ),
    some(Undo, of=seqs, source=st.none() | sources),
    some(Reset, reason=texts, source=st.none() | sources),
    some(Edit, of=seqs, content=texts, edited_at=moments | texts, source=st.none() | sources),
    some(Delete, of=seqs, edited_at=moments | texts, source=st.none() | sources),
    some(Erased),
)


class History:
    """Writes a session as an actor would: what it adds next depends on what stands there."""

    def __init__(self, begin: datetime = START) -> None:
        """Begin with the header."""
        self.records: list[Record] = []
        self.view = Transcript()
        self._now = begin
        self.add(SessionHeader(version=FORMAT_VERSION, key=KEY))

    def add(self, record: Record) -> int:
        """Write one record, and return its seq."""
        record = msgspec.structs.replace(record, seq=len(self.records), ts=format_time(self._now))
        self.records.append(record)
        self.view.apply(record)
        return record.seq

    def wait(self, hours: float) -> None:
        """Let time go by."""
        self._now += timedelta(hours=hours)

    def say(self) -> None:
        self.add(user(f"m{len(self.records)}"))

    def reply(self, *, most: int = 20) -> None:
        """Answer what waits, the oldest first, and deliver that."""
        self.answer(most=most)
        self.deliver()

    def answer(self, *, most: int = 20) -> None:
        waiting = tuple(self.view.pending)[:most]
        if waiting:
            self._obey_before(waiting[0])
            self.add(answer(*waiting, content=f"reply to {waiting}"))

    def fail(self, *, told: bool) -> None:
        waiting = tuple(self.view.pending)
        if waiting:
            self._obey_before(waiting[0])
            self.add(failure(*waiting, told=told))

    def _obey_before(self, seq: int) -> None:
        """Answer the commands that came before a message: no turn begins before that."""
        for of, found in list(self.view.commands.items()):
            if of < seq and found.name != "retry":
                self.add(Delivery(of=of, message_ids=("p",), state="sent"))

    def deliver(self) -> None:
        for of in (
            *self.view.undelivered,
            *(seq for seq, found in self.view.commands.items() if found.name != "retry"),
        ):
            self.add(Delivery(of=of, message_ids=("p",), state="sent"))

    def command(self, name: str) -> None:
        self.add(command(name, f"m{len(self.records)}"))

    def retry(self) -> None:
        """Ask for the last reply once more, and get it."""
        if not self.view.pending and self.view.turns:
            seq = self.add(command("retry", f"m{len(self.records)}"))
            self.add(answer(seq, content="another reply"))

    def reset(self) -> None:
        """Settle what waits, then begin anew."""
        self.fail(told=False)
        self.deliver()
        self.add(Reset(reason="new", source=source(f"r{len(self.records)}")))

    def compact(self, keep: int) -> None:
        """Cover all turns but the last few, where that is more than is covered already."""
        covered = self.view.turns[: len(self.view.turns) - keep]
        to = covered[-1].messages[-1].seq if covered else -1
        if to > (self.view.summary.covers[1] if self.view.summary else -1):
            self.add(compaction(to, summary=f"all up to {to}"))

    def undo(self) -> None:
        if self.view.summary is not None:
            self.add(Undo(of=self.view.summary.seq))

    def change(self, *, back: int, deleted: bool) -> None:
        """Edit or delete one of the messages that still matter."""
        alive = [message.seq for turn in self.view.live_turns for message in turn.messages] + list(self.view.pending)
        if alive:
            of = alive[max(len(alive) - 1 - back, 0)]
            when = format_time(self._now)
            self.add(Delete(of=of, edited_at=when) if deleted else Edit(of=of, content="edited", edited_at=when))
