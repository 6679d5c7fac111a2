"""This module builds a session file without faults, and damages it for the tests of verify and repair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from agentd.transcript.coverage import digest_lines
from agentd.transcript.lines import cut_lines
from agentd.transcript.records import (
    FORMAT_VERSION,
    Compaction,
    Delete,
    Delivery,
    Draft,
    Edit,
    Record,
    Reset,
    SessionHeader,
    Undo,
    UserMessage,
    encode_line,
)
from agentd.transcript.verify import Finding, verify
from tests.unit.agentd.transcript.building import KEY, answer, command, failure, numbered, source, user

NAME = KEY.file_name


def sent(of: int) -> Delivery:
    return Delivery(of=of, message_ids=(f"p{of}",), state="sent")


def drafts(of: int) -> list[Record]:
    sending = Draft(answers=(of,), part=0, state="sending")
    return [sending, msgspec.structs.replace(sending, state="sent", message_id=f"p{of}")]


SPOKEN: Sequence[Record] = numbered(
    SessionHeader(version=FORMAT_VERSION, key=KEY),
    user("a"),  # 1
    *drafts(1),
    answer(1),  # 4
    sent(4),
    user("b"),  # 6
    user("c"),
    failure(6, 7),  # 8
    sent(8),
    command("new", "n"),  # 10
    user("after the command"),  # 11
    Reset(reason="new", source=source("n")),
    sent(10),
    answer(11),  # 14
    sent(14),
    Edit(of=11, content="edited", edited_at="", source=source("e")),
    command("retry", "r"),  # 17
    answer(17),
    sent(18),
    user("d"),  # 20
    Delete(of=20, source=source("d")),
    user("e"),  # 22
    answer(22),
    sent(23),
)


def raw(records: Sequence[Record]) -> list[bytes]:
    return [encode_line(record).rstrip(b"\n") for record in records]


def compaction(lines: Sequence[bytes], start: int, end: int) -> Compaction:
    """Return the compaction that covers these lines of a file whose lines are its seqs."""
    return Compaction(covers=(start, end), digest=digest_lines(lines[start : end + 1]), summary="a summary")


def next_line(lines: Sequence[bytes], record: Record) -> bytes:
    """Return a record as the line that comes next."""
    ts = f"2026-01-01T13:{len(lines):02}:00.000Z"
    return encode_line(msgspec.structs.replace(record, seq=len(lines), ts=ts)).rstrip(b"\n")


def whole() -> list[bytes]:
    """Return the lines of a file with every type of record: 25 and 27 are compactions, the first undone."""
    lines = raw(SPOKEN)
    lines.append(next_line(lines, compaction(lines, 11, 11)))
    lines.append(next_line(lines, Undo(of=25)))
    lines.append(next_line(lines, compaction(lines, 11, 22)))
    return lines


def as_bytes(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def findings(content: bytes, name: str = NAME) -> list[Finding]:
    return list(verify(name, lambda: cut_lines([content])))


def damaged(content: bytes, name: str = NAME) -> list[tuple[int, str]]:
    """Return the line and the sentence of each damage."""
    return [(finding.line, finding.text) for finding in findings(content, name) if finding.is_damage]


@dataclass(frozen=True, slots=True)
class Damage:
    """A way to damage the whole file: the line that is named for it, and words of the sentence."""

    do: Callable[[list[bytes]], bytes]
    line: int
    words: str


def _instead(number: int, record: Record) -> Callable[[list[bytes]], bytes]:
    """Replace a line, its seq and time kept."""

    def do(lines: list[bytes]) -> bytes:
        ts = "2026-01-01T12:00:00.000Z"
        lines[number - 1] = encode_line(msgspec.structs.replace(record, seq=number - 1, ts=ts)).rstrip(b"\n")
        return as_bytes(lines)

    return do


def _after(*records: Record) -> Callable[[list[bytes]], bytes]:
    def do(lines: list[bytes]) -> bytes:
        for record in records:
            lines.append(next_line(lines, record))
        return as_bytes(lines)

    return do


def _change(number: int, old: bytes, new: bytes) -> Callable[[list[bytes]], bytes]:
    def do(lines: list[bytes]) -> bytes:
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new)
        return as_bytes(lines)

    return do


OTHER = SessionHeader(version=FORMAT_VERSION, key=KEY)

DAMAGES = {
    "a line that is not JSON": Damage(_change(7, b"{", b"#"), 7, "not a record"),
    "a record that lacks a field": Damage(_change(5, b'"content"', b'"contemt"'), 5, "content"),
    "a message without a role": Damage(_change(7, b'"role"', b'"rome"'), 7, "role"),
    "a torn last line": Damage(lambda lines: as_bytes(lines)[:-30], 28, "cut off"),
    "a NUL block before a record": Damage(
        lambda lines: as_bytes([*lines[:3], b"\0" * 99 + lines[3], *lines[4:]]), 4, "NUL"
    ),
    "a NUL block in place of a record": Damage(lambda lines: as_bytes([*lines[:3], b"\0" * 99, *lines[4:]]), 4, "NUL"),
    "a line twice": Damage(lambda lines: as_bytes([*lines[:7], lines[6], *lines[7:]]), 8, "seq 6 stands a second"),
    "lines that are gone": Damage(lambda lines: as_bytes([*lines[:2], *lines[4:]]), 3, "seq 2 to 3, 2 are missing"),
    "two lines swapped": Damage(
        lambda lines: as_bytes([*lines[:6], lines[7], lines[6], *lines[8:]]), 7, "seq 7 stands where 6 comes"
    ),
    "a cut inside a character": Damage(
        lambda lines: as_bytes([*lines[:6], lines[6].replace(b"text of b", "é".encode()[:1]), *lines[7:]]), 7, "record"
    ),
    "a seq that is wrong": Damage(_change(8, b'"seq":7,', b'"seq":70,'), 8, "seq 70 stands where 7 comes"),
    "a time that is none": Damage(_change(8, b"2026-01-01T", b"2026-13-01T"), 8, "ts"),
    "a session record that is gone": Damage(lambda lines: as_bytes(lines[1:]), 1, "seq 0 is missing"),
    "another record first": Damage(_instead(1, user("x")), 1, "no session record"),
    "a second session record": Damage(_after(OTHER), 29, "second session"),
    "an answer to nothing": Damage(_instead(5, answer(40)), 5, "record 40, which is not before it"),
    "an answer to a reply": Damage(_instead(15, answer(4)), 15, "record 4, which is a reply"),
    "a second answer": Damage(_after(answer(22)), 29, "message 22 is answered a second time"),
    "a second delivery": Damage(_after(sent(23)), 29, "record 23 is delivered a second time"),
    "a delivery of a message": Damage(_after(sent(22)), 29, "record 22, which is a message"),
    "a draft that was never begun": Damage(_after(drafts(22)[1]), 29, "never begun"),
    "a draft of no message": Damage(_after(Draft(answers=(), part=0, state="sending")), 29, "a draft of no message"),
    "a draft of no part": Damage(_after(Draft(answers=(22,), part=-1, state="sending")), 29, "a draft of part -1"),
    "a draft that is sent as nothing": Damage(
        _after(Draft(answers=(22,), part=0, state="sent")), 29, "is sent, but has no message_id"
    ),
    "an edit of a reply": Damage(_after(Edit(of=23, content="", edited_at="")), 29, "record 23, which is a reply"),
    "a digest of other lines": Damage(_change(28, b'"digest":"', b'"digest":"0'), 28, "digest"),
    "a summary of more than there is": Damage(_after(Compaction(covers=(11, 99), digest="", summary="")), 29, "range"),
    "a summary that leaves out the start": Damage(
        lambda lines: as_bytes([*lines[:27], next_line(lines[:27], compaction(lines, 14, 22))]), 28, "covers starts at"
    ),
    "a summary of less than the one in force": Damage(
        lambda lines: as_bytes([*lines, next_line(lines, compaction(lines, 11, 20))]), 29, "covers less than"
    ),
    "a summary of what waits": Damage(
        lambda lines: as_bytes(
            [*(more := [*lines, next_line(lines, user("f"))]), next_line(more, compaction(more, 11, 28))]
        ),
        30,
        "covers message 28",
    ),
    "a second undo": Damage(_after(Undo(of=25)), 29, "undone a second time"),
    "an undo of a message": Damage(_after(Undo(of=22)), 29, "record 22, which is a message"),
    "a reset over a waiting message": Damage(_after(user("f"), Reset(reason="new")), 30, "message 28"),
}

UNANSWERED = UserMessage(content="of an older format")
