"""These tests check verify: every kind of damage is named with its line, and nothing else is."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentd.transcript.coverage import digest_lines
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import cut_lines, read_lines
from agentd.transcript.records import (
    LOST_ENDING,
    Command,
    Compaction,
    Delete,
    Draft,
    Edit,
    Erased,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Undo,
)
from agentd.transcript.verify import verify
from tests.flow.stage import daemon
from tests.unit.agentd.transcript.building import CALM, KEY, answer, command, failure, numbered, sent, source, user
from tests.unit.agentd.transcript.damage import (
    DAMAGES,
    NAME,
    as_bytes,
    compaction,
    damaged,
    findings,
    next_line,
    raw,
    whole,
)


def with_next(*records: Record) -> list[bytes]:
    lines = whole()
    for record in records:
        lines.append(next_line(lines, record))
    return lines


def test_a_whole_file_has_nothing_to_say() -> None:
    assert findings(as_bytes(whole())) == []


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_kind_of_damage_is_named_once_with_its_line(kind: str) -> None:
    damage = DAMAGES[kind]
    found = damaged(damage.do(whole()))

    assert found[0][0] == damage.line
    assert damage.words in found[0][1]
    assert all("digest" in sentence for _, sentence in found[1:])


def test_a_file_under_another_name_is_damage() -> None:
    [(line, sentence)] = damaged(as_bytes(whole()), "fake~bot~other~~")

    assert (line, NAME in sentence) == (1, True)


def test_a_whole_last_line_without_its_newline_is_a_note() -> None:
    [finding] = findings(as_bytes(whole())[:-1])

    assert (finding.line, finding.is_damage) == (28, False)


def test_what_waits_is_a_note() -> None:
    found = findings(as_bytes(with_next(user("f"), user("g"), answer(29))))

    assert [(finding.line, finding.is_damage) for finding in found] == [(29, False), (31, False)]
    assert ["pending" in found[0].text, "no delivery" in found[1].text] == [True, True]


def test_a_record_of_a_later_version_is_a_note_and_keeps_its_seq() -> None:
    lines = [*whole(), b'{"seq":28,"ts":"2026-01-01T12:00:00.000Z","type":"poll"}']
    lines.append(next_line(lines, user("f")))
    lines.append(next_line(lines, answer(29)))
    lines.append(next_line(lines, sent(30)))
    found = findings(as_bytes(lines))

    assert [(finding.line, finding.is_damage) for finding in found] == [(29, False)]


def test_a_file_of_an_older_format_is_no_damage() -> None:
    content = b'{"role":"user","content":"hi"}\n\n{"role":"assistant","content":"hello"}\n'

    assert damaged(content) == []
    assert damaged(content, "telegram_ada") == []


def test_a_file_of_an_older_format_that_the_daemon_goes_on_with_is_no_damage() -> None:
    lines = [b'{"role":"user","content":"hi"}', b'{"role":"assistant","content":"hello"}']
    for record in (user("a"), answer(2), sent(3)):
        lines.append(next_line(lines, record))

    assert damaged(as_bytes(lines)) == []


def test_a_torn_line_that_took_no_seq_spoils_no_digest() -> None:
    lines = whole()
    lines.insert(12, b'{"seq":12,"ty')

    assert [line for line, _ in damaged(as_bytes(lines))] == [13]


def test_a_summary_over_a_damaged_record_is_damage_too() -> None:
    lines = whole()
    lines[14] = b"garbage"

    assert [line for line, _ in damaged(as_bytes(lines))] == [15, 28]


def test_what_names_an_erased_record_is_no_damage() -> None:
    lines = with_next(Erased(), answer(28), sent(29))

    assert damaged(as_bytes(lines)) == []


def test_a_summary_that_leaves_out_the_first_message_is_damage() -> None:
    lines = with_next(user("f"), answer(28), sent(29))
    lines.append(next_line(lines, compaction(lines, 22, 28)))
    [(line, sentence)] = damaged(as_bytes(lines))

    assert line == 32
    assert "conversation at 11" in sentence


def test_a_summary_over_a_waiting_message_is_damage() -> None:
    lines = with_next(user("f"))
    lines.append(next_line(lines, compaction(lines, 11, 28)))
    [(line, sentence)] = damaged(as_bytes(lines))

    assert line == 30
    assert "message 28" in sentence


def test_a_summary_that_ends_at_a_reply_is_damage() -> None:
    lines = whole()
    lines.append(next_line(lines, compaction(lines, 11, 23)))

    assert [line for line, _ in damaged(as_bytes(lines))] == [29]


def test_a_retry_takes_the_place_of_the_answer_and_only_a_retry_may() -> None:
    retried = with_next(command("retry", "r2"), answer(28, 22), sent(29))
    other = with_next(command("help", "h"), answer(28))

    assert damaged(as_bytes(retried)) == []
    assert [line for line, _ in damaged(as_bytes(other))] == [30]


def test_a_reset_by_command_leaves_what_came_after_the_command_waiting() -> None:
    new = Command(name="new", source=source("n2"))
    late = with_next(new, user("f"), Reset(reason="new", source=source("n2")))
    early = with_next(user("f"), new, Reset(reason="new", source=source("n2")))

    assert damaged(as_bytes(late)) == []
    assert [line for line, _ in damaged(as_bytes(early))] == [31]


@given(st.binary(max_size=400), st.integers(0, 3000))
def test_garbage_anywhere_never_raises_and_is_found(garbage: bytes, at: int) -> None:
    content = as_bytes(whole())
    found = damaged(content[:at] + b"\n#" + garbage + content[at:])

    assert found


@given(st.integers(0, 10_000))
def test_a_cut_at_any_byte_is_at_most_one_damage(at: int) -> None:
    content = as_bytes(whole())

    assert len(damaged(content[: at % len(content)])) <= 1


@given(st.lists(st.integers(1, 60), max_size=30))
def test_lines_are_the_same_however_the_blocks_are_cut(sizes: list[int]) -> None:
    content, blocks, at = as_bytes(whole())[:-5], [], 0
    for size in sizes:
        blocks.append(content[at : at + size])
        at += size

    assert list(cut_lines([*blocks, content[at:]])) == list(cut_lines([content]))


said = st.sampled_from(
    ["hello", "/new", "/help", "/status", "/stop", "/nothing", "x" * 300, '日本語\n"quoted" \\ \x00']
)


async def _talk(workspace: Path, runs: list[list[list[str]]]) -> None:
    for run in runs:
        async with daemon(workspace) as stage:
            for burst in run:
                receipts = [await stage.post(text) for text in burst]
                async with asyncio.timeout(10):
                    await receipts[-1].settled()


@settings(CALM, max_examples=25)
@given(st.lists(st.lists(st.lists(said, min_size=1, max_size=3), min_size=1, max_size=4), min_size=1, max_size=2))
def test_every_file_that_the_daemon_writes_is_without_damage(runs: list[list[list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_talk(Path(folder), runs))
        [path] = Path(folder, "sessions").glob("*.jsonl")
        found = list(verify(path.stem, lambda: read_lines(path)))

    assert [finding for finding in found if finding.is_damage] == []


def test_a_header_of_a_key_too_long_to_decode_fits_its_file() -> None:
    key = SessionKey("fake", "bot", "c" * 300)
    header = raw([SessionHeader(version=1, key=key, seq=0, ts="2026-01-01T12:00:00.000Z")])

    assert damaged(as_bytes(header), key.file_name) == []


def test_an_answer_that_names_a_message_twice_and_a_draft_of_none_are_damage() -> None:
    twice = damaged(as_bytes(with_next(user("f"), answer(28, 28), sent(29))))
    of_none = damaged(as_bytes(with_next(Draft(answers=(), part=0, state="sending"))))
    before_the_first = damaged(as_bytes(with_next(user("f"), Draft(answers=(28,), part=-1, state="sending"))))

    assert [sentence for _, sentence in twice] == ["answers names the same record twice"]
    assert [sentence for _, sentence in of_none] == ["a draft of no message"]
    assert [sentence for _, sentence in before_the_first] == ["a draft of part -1"]


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (answer(28), "answers names record 28, which is not before it"),
        (answer(40), "answers names record 40, which is not before it"),
        (answer(10), "answers names record 10, which is a command"),
        (failure(23), "answers names record 23, which is a reply"),
        (Draft(answers=(8, 25), part=0, state="sending"), "answers names record 25, which is a compaction"),
        (sent(22), "of names record 22, which is a message"),
        (Edit(of=0, content="x", edited_at=""), "of names record 0, which is of another kind"),
        (Delete(of=18), "of names record 18, which is a reply"),
        (Undo(of=8), "of names record 8, which is a failure"),
        (SessionHeader(version=1, key=KEY), "a second session record"),
        (Draft(answers=(22,), part=0, state="sent"), "a draft is sent, but has no message_id"),
    ],
)
def test_what_a_record_may_not_name_is_told_with_its_field_and_what_that_is(record: Record, sentence: str) -> None:
    assert damaged(as_bytes(with_next(record))) == [(29, sentence)]


def test_a_session_record_in_the_place_of_the_first_message_is_a_second_one() -> None:
    header = SessionHeader(version=1, key=KEY)

    assert damaged(as_bytes(raw(numbered(header, header)))) == [(2, "a second session record")]


def test_a_message_that_was_answered_is_not_answered_again_beside_one_that_waits() -> None:
    found = damaged(as_bytes(with_next(user("f"), answer(28, 22))))

    assert found == [(30, "message 22 is answered a second time")]


def test_a_command_that_was_answered_and_delivered_is_not_answered_again() -> None:
    found = damaged(as_bytes(with_next(command("retry", "r2"), answer(28), sent(28), answer(28))))

    assert found == [(32, "message 28 is answered a second time")]


def test_a_failure_may_end_a_command_and_tell_people_of_what_no_message_asked() -> None:
    lines = with_next(command("status", "s"), failure(28), sent(29), failure(), sent(31))

    assert findings(as_bytes(lines)) == []


def test_a_failure_of_which_nobody_is_told_waits_for_no_delivery() -> None:
    assert findings(as_bytes(with_next(user("f"), failure(28, told=False)))) == []


def test_a_command_that_waits_is_a_note_with_its_line() -> None:
    [note] = findings(as_bytes(with_next(command("status", "s"))))

    assert (note.line, note.text) == (29, "record 28 is pending: the next run answers it, or says why not")


@pytest.mark.parametrize(
    ("turn", "is_proof"),
    [
        ((user("g"), answer(29), sent(30)), True),
        ((user("g"), failure(29), sent(30)), True),
        ((user("g"), answer(29)), False),
        ((user("g"), failure(29, told=False)), False),
        ((user("g"), msgspec.structs.replace(answer(29), beside=(28,)), sent(30)), False),
        ((command("retry", "r2"), answer(29), sent(30)), False),
        ((command("status", "s"), sent(29)), False),
    ],
)
def test_only_a_later_turn_that_was_delivered_proves_that_what_waits_was_settled(
    turn: tuple[Record, ...], is_proof: bool
) -> None:
    note = findings(as_bytes(with_next(user("f"), *turn)))[0]

    assert note.line == 29
    assert ("a later turn was delivered" in note.text) == is_proof


LOST: dict[str, Record] = {
    "a record that is gone": Erased(),
    "an ending that is gone": Failure(answers=(28,), reason=LOST_ENDING, told=False),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize(
    "later",
    [
        Draft(answers=(28,), part=0, state="sent", message_id="p"),
        Undo(of=29),
        Edit(of=29, content="x", edited_at=""),
        answer(29),
        Reset(reason="new", source=source("n2")),
    ],
)
def test_what_may_have_had_to_do_with_a_lost_record_is_no_damage(lost: str, later: Record) -> None:
    assert damaged(as_bytes(with_next(user("f"), LOST[lost], later))) == []


@pytest.mark.parametrize(
    "later",
    [
        Draft(answers=(29,), part=0, state="sent", message_id="p"),
        Undo(of=29),
        Reset(reason="new", source=source("n2")),
    ],
)
def test_what_has_nothing_to_do_with_a_lost_record_is_judged_as_ever(later: Record) -> None:
    [(line, _)] = damaged(as_bytes(with_next(Erased(), user("f"), later)))

    assert line == 31


def test_a_reset_whose_command_and_asker_were_erased_leaves_waiting_what_came_after() -> None:
    assert damaged(as_bytes(with_next(Erased(), user("f"), Reset(reason="new")))) == []


def test_a_command_that_came_after_new_does_not_end_what_belongs_to_the_old_conversation() -> None:
    new = Command(name="new", source=source("n2"))
    lines = with_next(new, user("f"), command("status", "s"), Reset(reason="new", source=source("n2")))

    assert damaged(as_bytes(lines)) == []


def conversation() -> list[bytes]:
    """Return the lines of a file of two turns and no reset."""
    header = SessionHeader(version=1, key=KEY)
    return raw(numbered(header, user("a"), answer(1), sent(2), user("b"), answer(4), sent(5)))


def test_a_first_conversation_begins_at_its_first_message() -> None:
    lines = conversation()
    whole_range, later_range = ([*lines, next_line(lines, compaction(lines, start, 4))] for start in (1, 4))

    assert damaged(as_bytes(whole_range)) == []
    assert damaged(as_bytes(later_range)) == [(8, "covers starts at record 4, but the conversation at 1")]


def test_a_summary_may_begin_with_the_first_line_of_a_file_of_an_older_format() -> None:
    lines = [b'{"role":"user","content":"hi"}', b'{"role":"assistant","content":"hello"}']
    for record in (user("a"), answer(2), sent(3)):
        lines.append(next_line(lines, record))
    lines.append(next_line(lines, compaction(lines, 0, 2)))

    assert damaged(as_bytes(lines)) == []


def test_a_summary_of_the_same_messages_once_more_is_no_damage() -> None:
    lines = whole()
    lines.append(next_line(lines, compaction(lines, 11, 22)))

    assert damaged(as_bytes(lines)) == []


def test_a_summary_that_was_made_without_a_damaged_line_in_its_midst_is_damage() -> None:
    """Once the line is repaired, the record in its place counts too."""
    lines = conversation()
    lines[2] = b"garbage"
    summary = Compaction(covers=(1, 4), digest=digest_lines([lines[1], lines[3], lines[4]]), summary="s")

    assert [line for line, _ in damaged(as_bytes([*lines, next_line(lines, summary)]))][-1] == 8
