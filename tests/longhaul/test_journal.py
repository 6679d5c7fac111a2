"""These tests check that the reader of session files finds every fault, and none in a file in order."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.longhaul.journal import MOST_UNDONE, Journal, PastTurn


class File:
    """A session's file, written by hand."""

    def __init__(self, path: Path) -> None:
        """Begin with a header."""
        self.path = path
        self.lines: list[bytes] = []
        self.add(type="session", version=1)

    def add(self, **record: Any) -> int:
        """Append a record, and return its seq."""
        record = {"seq": len(self.lines), **record}
        self.lines.append(json.dumps(record, ensure_ascii=False).encode())
        with self.path.open("ab") as file:
            file.write(self.lines[-1] + b"\n")
        return len(self.lines) - 1

    def ask(self, text: str = "问") -> int:
        """Append a message."""
        return self.add(type="message", role="user", content=text)

    def answer(self, *answers: int, text: str = "a reply") -> int:
        """Append a reply, and that it was delivered."""
        seq = self.add(type="message", role="assistant", content=text, answers=answers)
        return self.add(type="delivery", of=seq, state="sent")

    def exchange(self) -> int:
        """Append a message and its reply, and return the message's seq."""
        seq = self.ask()
        self.answer(seq)
        return seq

    def compact(self, start: int, to: int, **other: Any) -> int:
        """Append a summary of a range that is right, but for what is `other`."""
        digest = hashlib.sha256(b"".join(line + b"\n" for line in self.lines[start : to + 1])).hexdigest()
        usual = {"covers": [start, to], "digest": digest, "summary": "- tea", "tokens_before": 90, "tokens_after": 3}
        return self.add(type="compaction", **{**usual, **other})


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "session.jsonl")


def read(file: File) -> Journal:
    journal = Journal(file.path)
    journal.read()
    return journal


def faults(journal: Journal) -> list[list[str]]:
    return [journal.covers_faults, journal.digest_faults, journal.size_faults, journal.byte_faults]


NONE: list[list[str]] = [[], [], [], []]


def test_a_file_in_order_has_no_fault_and_its_turns_are_known(file: File) -> None:
    first = file.exchange()
    second, third = file.ask("one"), file.ask("two")
    file.answer(second, third)
    journal = read(file)
    file.compact(first, third)
    fourth = file.exchange()
    waiting = file.ask("three")
    file.compact(first, fourth)
    journal.read()
    journal.check_bytes()

    assert faults(journal) == NONE
    assert journal.turns[1] == PastTurn((second, third), ("one", "two"), "a reply")
    assert journal.pending == {waiting: "three"}
    assert (journal.made, journal.failures) == (2, 0)
    assert journal.live(journal.in_force) == []
    assert [turn.seqs for turn in journal.live(journal.compactions[0])] == [(fourth,)]
    assert [turn.seqs for turn in journal.covered(journal.compactions[0], 1)] == [(second, third)]
    assert len(journal.live(None)) == 3


def test_after_an_undo_the_one_before_is_in_force_and_a_shorter_range_is_in_order(file: File) -> None:
    seqs = [file.exchange() for _ in range(4)]
    file.compact(seqs[0], seqs[0])
    undone = file.compact(seqs[0], seqs[2])
    file.add(type="undo", of=undone)
    journal = read(file)

    assert journal.in_force is not None
    assert journal.in_force.to == seqs[0]
    file.compact(seqs[0], seqs[1])
    journal.read()
    assert faults(journal) == NONE


def test_after_a_reset_the_conversation_begins_anew(file: File) -> None:
    first = file.exchange()
    file.compact(first, first)
    file.add(type="reset", reason="new")
    second = file.exchange()
    journal = read(file)

    assert (journal.in_force, len(journal.turns)) == (None, 1)
    file.compact(second, second)
    journal.read()
    assert faults(journal) == NONE


def test_what_was_in_force_since_the_mark_is_known(file: File) -> None:
    seqs = [file.exchange() for _ in range(3)]
    file.compact(seqs[0], seqs[0])
    journal = read(file)
    journal.mark()
    file.compact(seqs[0], seqs[1])
    journal.read()

    assert [candidate and candidate.to for candidate in journal.candidates] == [seqs[0], seqs[1]]


def test_of_a_long_conversation_the_early_turns_are_forgotten_and_nothing_else_changes(file: File) -> None:
    seqs = [file.exchange() for _ in range(3)]
    for _ in range(2 * MOST_UNDONE + 1):
        seqs.append(file.exchange())
        file.compact(seqs[0], seqs[-2])
    journal = read(file)

    assert faults(journal) == NONE
    assert len(journal.turns) < len(seqs) - MOST_UNDONE
    assert [turn.seqs for turn in journal.live(journal.in_force)] == [(seqs[-1],)]
    assert len(journal.live(journal.compactions[0])) == len(journal.turns)


@pytest.mark.parametrize(("start", "to"), [(1, 1), (0, 4), (5, 5)], ids=["nothing new", "too early", "too late"])
def test_a_range_that_does_not_begin_with_the_conversation_or_does_not_grow_is_found(
    start: int, to: int, file: File
) -> None:
    assert [file.exchange() for _ in range(3)] == [1, 4, 7]
    file.compact(1, 1)
    file.compact(start, to)

    assert read(file).covers_faults


def test_a_range_that_shrinks_without_an_undo_is_found(file: File) -> None:
    seqs = [file.exchange() for _ in range(3)]
    file.compact(seqs[0], seqs[2])
    file.compact(seqs[0], seqs[1])

    assert len(read(file).covers_faults) == 1


def test_a_range_that_ends_with_no_turn_or_within_one_is_found(file: File) -> None:
    first = file.exchange()
    second, third = file.ask(), file.ask()
    file.answer(second, third)
    file.compact(first, first + 1)
    file.compact(first, second)

    assert len(read(file).covers_faults) == 2


def test_a_range_with_a_message_that_waits_is_found(file: File) -> None:
    first = file.exchange()
    file.ask("still waiting")
    third = file.exchange()
    file.compact(first, third)

    assert read(file).covers_faults


def test_a_range_that_begins_before_the_reset_is_found(file: File) -> None:
    first = file.exchange()
    file.add(type="reset", reason="new")
    second = file.exchange()
    file.compact(first, second)

    assert read(file).covers_faults


def test_a_wrong_digest_is_found_and_so_is_one_of_a_part_of_the_range(file: File) -> None:
    seqs = [file.exchange() for _ in range(3)]
    file.compact(seqs[0], seqs[0], digest="0" * 64)
    part = hashlib.sha256(b"".join(line + b"\n" for line in file.lines[seqs[0] + 1 : seqs[1] + 1])).hexdigest()
    file.compact(seqs[0], seqs[1], digest=part)
    file.compact(seqs[0], seqs[2])

    assert len(read(file).digest_faults) == 2


@pytest.mark.parametrize(
    "wrong",
    [{"summary": ""}, {"summary": "x" * 2_001}, {"tokens_after": 90}, {"tokens_before": 2}],
    ids=["nothing", "too long", "as large", "larger"],
)
def test_a_summary_that_is_empty_or_too_long_or_no_smaller_is_found(wrong: dict[str, Any], file: File) -> None:
    seq = file.exchange()
    file.compact(seq, seq, **wrong)

    assert len(read(file).size_faults) == 1


def test_a_summary_of_the_most_characters_is_in_order(file: File) -> None:
    seq = file.exchange()
    file.compact(seq, seq, summary="记" * 2_000)

    assert faults(read(file)) == NONE


def test_a_gap_in_the_seqs_is_found(file: File) -> None:
    file.exchange()
    file.add(type="delivery", seq=9)

    assert len(read(file).byte_faults) == 1


def test_a_change_far_back_is_found_when_everything_is_read_again(file: File) -> None:
    for _ in range(20):
        file.exchange()
    journal = read(file)
    content = file.path.read_bytes()
    file.path.write_bytes(content.replace("问".encode(), "闻".encode(), 1))
    file.exchange()
    journal.read()

    assert journal.byte_faults == []
    journal.check_bytes()
    assert len(journal.byte_faults) == 1


def test_a_change_of_the_last_lines_is_found_at_once(file: File) -> None:
    file.exchange()
    journal = read(file)
    file.path.write_bytes(file.path.read_bytes()[:-2] + b" \n")
    journal.read()

    assert len(journal.byte_faults) == 1


def test_a_file_that_became_shorter_is_found(file: File) -> None:
    for _ in range(20):
        file.exchange()
    journal = read(file)
    file.path.write_bytes(file.path.read_bytes()[:200])
    journal.read()

    assert len(journal.byte_faults) == 1


def test_a_line_that_is_not_whole_yet_is_read_later(file: File) -> None:
    seq = file.ask("one")
    line = json.dumps({"seq": 2, "type": "message", "role": "assistant", "content": "r", "answers": [seq]}).encode()
    journal = read(file)
    with file.path.open("ab") as added:
        added.write(line[:20])
    journal.read()
    with file.path.open("ab") as added:
        added.write(line[20:] + b"\n")

    assert journal.turns == []
    journal.read()
    assert [turn.seqs for turn in journal.turns] == [(seq,)]


def test_a_turn_without_a_reply_is_counted(file: File) -> None:
    seq = file.ask()
    file.add(type="failure", answers=[seq], reason="provider", told=True)
    journal = read(file)

    assert journal.failures == 1
    assert journal.turns == [PastTurn((seq,), ("问",), None)]
