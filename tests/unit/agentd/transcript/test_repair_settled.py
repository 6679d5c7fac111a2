"""These tests check that repair settles what a later turn proves settled; the next run finds all else that waits."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.lines import cut_lines
from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.reading import load
from agentd.transcript.records import (
    Delivery,
    Erased,
    Failure,
    Record,
    Reset,
    SessionHeader,
    parse_line,
)
from agentd.transcript.repair import repair_file
from agentd.transcript.searching import LONG_TAIL_BYTES, TAIL_BYTES
from agentd.transcript.settling import is_settled_end
from agentd.transcript.verify import Examination, Finding, find_ranges
from tests.unit.agentd.transcript.building import (
    CALM,
    KEY,
    History,
    answer,
    as_file,
    command,
    contents,
    failure,
    numbered,
    put,
    sent,
    source,
    user,
)
from tests.unit.agentd.transcript.damage import NAME, damaged, findings
from tests.unit.agentd.transcript.test_reading import act, steps

NOW = "2026-02-02T12:00:00.000Z"
HEADER = SessionHeader(version=1, key=KEY)


def lose(records: list[Record], *seqs: int) -> bytes:
    """Return the file of these records, the lines of some of them unreadable."""
    lines = as_file(records).splitlines()
    return b"".join((b"garbage" if seq in seqs else line) + b"\n" for seq, line in enumerate(lines))


def repaired(content: bytes, folder: Path) -> bytes:
    path = folder / f"{NAME}.jsonl"
    path.write_bytes(content)
    return repair_file(path, NOW).path.read_bytes()


def record_at(content: bytes, seq: int) -> object:
    return parse_line(content.splitlines()[seq])


def test_a_message_whose_answer_is_lost_before_a_later_turn_ends_where_that_stood(tmp_path: Path) -> None:
    records = numbered(HEADER, user("a"), answer(1), sent(2), user("b"), answer(4), sent(5))
    before = lose(records, 2)
    after = repaired(before, tmp_path)

    assert record_at(after, 2) == Failure(seq=2, ts=records[1].ts, answers=(1,), reason="lost", told=False)
    assert after.splitlines()[:2] + after.splitlines()[3:] == before.splitlines()[:2] + before.splitlines()[3:]
    assert "later turn" in findings(before)[-1].text
    assert findings(after) == []


def test_messages_of_one_lost_answer_end_together_and_those_of_another_apart(tmp_path: Path) -> None:
    both = (user("a"), user("b"), answer(1, 2), sent(3))
    records = numbered(HEADER, *both, user("c"), answer(5), sent(6), user("d"), answer(8), sent(9))
    after = repaired(lose(records, 3, 6), tmp_path)
    ends = [record for record in map(parse_line, after.splitlines()) if isinstance(record, Failure)]

    assert [(end.seq, end.answers) for end in ends] == [(3, (1, 2)), (6, (5,))]
    assert findings(after) == []


def test_the_order_of_the_conversation_is_the_old_one(tmp_path: Path) -> None:
    records = numbered(HEADER, user("a"), answer(1), sent(2), user("b"), answer(4), sent(5))
    disk, path = MemoryDisk(), Path("/nowhere/file.jsonl")
    view = load(disk, path, put(disk, path, repaired(lose(records, 2), tmp_path))).view

    assert contents(view.turns) == [(["text of a"], "lost"), (["text of b"], "a reply")]
    assert view.last_ended is view.turns[-1]


def test_a_message_at_the_end_waits_again(tmp_path: Path) -> None:
    records = numbered(HEADER, user("a"), answer(1), sent(2), user("b"), answer(4), sent(5))
    after = repaired(lose(records, 5), tmp_path)

    assert record_at(after, 5) == Erased(seq=5, ts=records[4].ts)
    assert [finding.text for finding in findings(after)] == [
        "record 4 is pending: the next run answers it, or says why not"
    ]


def test_a_message_that_came_while_the_proving_turn_ran_waits_again(tmp_path: Path) -> None:
    records = numbered(HEADER, user("a"), user("b"), answer(1), sent(3), answer(2), sent(5))
    after = repaired(lose(records, 5), tmp_path)

    assert ["record 2 is pending" in finding.text for finding in findings(after)] == [True]


def test_lost_deliveries_before_a_later_turn_are_written_at_the_end_as_uncertain(tmp_path: Path) -> None:
    told = (user("b"), failure(4), sent(5))
    asked = (command("new"), Reset(reason="new", source=source("c")), sent(7))
    records = numbered(HEADER, user("a"), answer(1), sent(2), *told, *asked, user("d"), answer(10), sent(11))
    after = repaired(lose(records, 3, 6, 9), tmp_path)
    added = [msgspec.structs.replace(Delivery(of=of, state="uncertain"), ts=NOW) for of in (2, 5, 7)]

    assert [msgspec.structs.replace(parse_line(line), seq=-1) for line in after.splitlines()[13:]] == added
    assert findings(after) == []


def test_what_is_added_after_a_last_line_without_its_newline_begins_a_line(tmp_path: Path) -> None:
    records = numbered(HEADER, user("a"), answer(1), sent(2), user("b"), answer(4), sent(5))
    after = repaired(lose(records, 3)[:-1], tmp_path)

    assert len(after.splitlines()) == 8
    assert findings(after) == []


def test_a_message_after_which_no_record_is_lost_ends_at_the_end(tmp_path: Path) -> None:
    records = numbered(HEADER, user("a"), Erased(), sent(2), user("b"), answer(4), sent(5))
    after = repaired(as_file(records) + b"garbage\n", tmp_path)

    assert record_at(after, 7) == Failure(seq=7, ts=NOW, answers=(1,), reason="lost", told=False)
    assert findings(after) == []


def test_what_stands_in_for_a_lost_record_may_be_named_like_it(tmp_path: Path) -> None:
    """The place of the end may be that of a message that a later record answers."""
    first = (user("a"), user("b"), answer(1), sent(3), answer(2), sent(5))
    records = numbered(HEADER, *first, user("c"), answer(7), sent(8))
    after = repaired(lose(records, 2, 3), tmp_path)

    assert isinstance(record_at(after, 2), Failure)
    assert findings(after) == []


def notes(content: bytes) -> list[Finding]:
    examination = Examination(NAME, find_ranges(cut_lines([content])))
    list(examination.verdicts(cut_lines([content])))
    return list(examination.closing_notes())


@CALM
@given(steps, st.sets(st.integers(1, 90), max_size=5), st.booleans())
def test_after_a_repair_all_that_waits_is_found_by_the_next_run(
    taken: list[tuple[str, int]], lost: set[int], with_more: bool
) -> None:
    history = History()
    for step, number in taken:
        act(history, step, number)
    if with_more:
        history.say()
        history.reply()
    with tempfile.TemporaryDirectory() as folder:
        content = repaired(lose(history.records, *lost), Path(folder))
    disk, path = MemoryDisk(), Path("/nowhere/file.jsonl")
    found = load(disk, path, put(disk, path, content), most_characters=0).view
    waiting = notes(content)

    assert damaged(content) == []
    assert not any("later turn" in note.text for note in waiting)
    assert {note.text.split()[1] for note in waiting} <= {
        str(seq) for seq in (*found.pending, *found.commands, *found.undelivered)
    }
    for most in (TAIL_BYTES, LONG_TAIL_BYTES):
        end = content[-most:]

        assert not waiting or not is_settled_end(end, is_whole=len(end) == len(content))
