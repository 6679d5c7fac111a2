"""These tests check a session after a person is erased: it is sound, and others' records are unchanged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.erasing import Stamp, erase_lines, plan_erasure
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.lines import cut_lines
from agentd.transcript.records import (
    AssistantMessage,
    Compaction,
    Damaged,
    Delivery,
    Draft,
    Erased,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    parse_line,
)
from agentd.transcript.verify import verify
from agentd.transcript.view import Transcript, Turn, fold
from tests.unit.agentd.transcript.building import CALM, KEY
from tests.unit.agentd.transcript.shared import ADA, BOB, EVE, PEOPLE, Shared, Step, as_lines, play, steps, whose

STAMP = Stamp("0123456789abcdef", "2026-02-02T12:00:00.000Z")


def erase(content: bytes, who: str, key: SessionKey = KEY) -> bytes:
    erasure = plan_erasure(key, cut_lines([content]), {who}, STAMP)
    return b"".join(erase_lines(cut_lines([content]), erasure)) if erasure else content


def damage(content: bytes, name: str = KEY.file_name) -> list[str]:
    return [found.text for found in verify(name, lambda: cut_lines([content])) if found.is_damage]


def view_of(content: bytes) -> Transcript:
    return fold(parse_line(line) for line in content.splitlines())


def seqs(content: bytes) -> list[int]:
    return [json.loads(line)["seq"] for line in content.splitlines()]


@CALM
@given(steps)
def test_a_history_at_random_is_one_that_verify_takes_for_sound(happened: list[Step]) -> None:
    assert damage(b"".join(as_lines(play(happened).records))) == []


@CALM
@given(steps, st.sampled_from(PEOPLE))
def test_nothing_of_the_person_is_left_the_file_is_sound_and_every_other_line_is_as_it_was(
    happened: list[Step], who: str
) -> None:
    before = b"".join(as_lines(play(happened).records))
    after = erase(before, who)

    assert who.encode() not in after
    assert damage(after) == []
    assert seqs(after) == seqs(before)
    for old, new in zip(before.splitlines(), after.splitlines(), strict=True):
        assert old == new or is_stand_in(old, new, who)


def is_stand_in(old: bytes, new: bytes, who: str) -> bool:
    """Tell whether a line may have been changed so."""
    was, became = parse_line(old), parse_line(new)
    match became:
        case Erased():
            return who.encode() in old or isinstance(was, Draft | Delivery | Compaction | Failure)
        case Failure(told=False, notice=""):
            return isinstance(was, AssistantMessage | Failure) and set(became.answers) <= set(was.answers)
        case Reset(source=None) | Undo(source=None):
            return who.encode() in old
        case _:
            return False


@CALM
@given(steps, st.sampled_from(PEOPLE))
def test_done_twice_it_has_the_effect_of_once(happened: list[Step], who: str) -> None:
    once = erase(b"".join(as_lines(play(happened).records)), who)

    assert plan_erasure(KEY, cut_lines([once]), {who}, STAMP) is None


@CALM
@given(steps, st.sampled_from(PEOPLE))
def test_what_others_said_stays_in_the_prompt_in_its_order_and_nothing_is_answered_again(
    happened: list[Step], who: str
) -> None:
    history = play(happened)
    before, after = history.view, view_of(erase(b"".join(as_lines(history.records)), who))

    assert set(after.pending) == {seq for seq, message in before.pending.items() if whose(message) != who}
    assert set(after.commands) == {seq for seq, command in before.commands.items() if command.source.author.id != who}
    assert set(after.undelivered) <= set(before.undelivered)
    live, expected = said(after.live_turns), said(before.live_turns, without=who)
    assert live[len(live) - len(expected) :] == expected
    assert said(after.turns) == said(before.turns, without=who)


def said(turns: list[Turn], without: str = "") -> list[str]:
    """Return what others wrote in these turns."""
    return [message.content for turn in turns for message in turn.messages if whose(message) != without]


def played(*happened: tuple[object, ...]) -> bytes:
    padded = [(*step, None, None)[:3] for step in happened]
    return b"".join(as_lines(play(padded).records))  # type: ignore[arg-type]


def kinds(content: bytes) -> list[str]:
    return [json.loads(line).get("role", json.loads(line)["type"]) for line in content.splitlines()]


def test_a_shared_reply_ends_without_words_so_that_the_other_is_not_answered_again() -> None:
    before = played(("message", ADA, False), ("message", BOB, False), ("turn", True, "reply"))
    after = erase(before, ADA)

    assert kinds(after) == ["session", "erased", "user", "erased", "erased", "failure", "erased"]
    failure = parse_line(after.splitlines()[5])
    assert isinstance(failure, Failure)
    assert (failure.answers, failure.reason, failure.told) == ((2,), "lost", False)


def test_anothers_retry_of_the_persons_turn_goes_too() -> None:
    before = played(("message", ADA, False), ("turn", False, "reply"), ("again", BOB))
    after = erase(before, ADA)

    assert b"answer" not in after.replace(b'"answers"', b"")
    assert view_of(after).is_idle


def test_a_summary_over_the_person_goes_and_one_over_others_alone_stays() -> None:
    first = [("message", BOB, False), ("turn", False, "reply"), ("summarise", 0), ("message", ADA, False)]
    before = played(
        *first, ("turn", False, "reply"), ("message", BOB, False), ("turn", False, "reply"), ("summarise", 0)
    )
    after = erase(before, ADA)

    summaries = [record for line in after.splitlines() if isinstance(record := parse_line(line), Compaction)]
    assert [summary.summary for summary in summaries] == [f"summary of {BOB}"]
    assert view_of(after).summary == summaries[0]


def test_a_new_conversation_that_the_person_began_stays_one() -> None:
    before = played(("message", BOB, False), ("turn", False, "reply"), ("anew", ADA), ("turn", False, "reply"))
    after = erase(before, ADA)

    assert len(view_of(after).turns) == len(view_of(before).turns) == 1
    assert damage(after) == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (SessionKey("fake", "bot", ADA, None, ADA), SessionKey("fake", "bot", "erased-x", None, "erased-x")),
        (SessionKey("fake", "bot", ADA, "9.1"), SessionKey("fake", "bot", "erased-x")),
        (SessionKey("fake", "bot", "D77", "9.1", ADA), SessionKey("fake", "bot", "erased-x", None, "erased-x")),
    ],
)
def test_a_session_of_the_person_alone_keeps_its_seqs_and_nothing_else(key: SessionKey, expected: SessionKey) -> None:
    history = Shared()
    history.records.clear()
    history.add(SessionHeader(version=1, key=key))
    history.message(ADA, file=True)
    history.turn()
    history.summarise(0)
    content = b"".join(as_lines(history.records)).replace(b'"direct":false', b'"direct":true')
    erasure = plan_erasure(key, cut_lines([content]), {ADA}, Stamp("x", STAMP.now))

    assert erasure is not None
    after = b"".join(erase_lines(cut_lines([content]), erasure))
    assert erasure.key == expected
    assert parse_file_name(expected.file_name) == expected
    assert kinds(after) == ["session"] + ["erased"] * (len(history.records) - 1)
    assert seqs(after) == seqs(content)
    assert damage(after, expected.file_name) == []
    assert {f"Name of {ADA}", f"summary of {ADA}", f"file-1-of-{ADA}"} < erasure.texts


def test_of_a_groups_session_of_one_person_the_group_stays() -> None:
    history = Shared()
    history.message(ADA)
    key = SessionKey("fake", "bot", "-100", "7", ADA)
    content = b"".join(as_lines(history.records))
    erasure = plan_erasure(key, cut_lines([content]), {ADA}, Stamp("x", STAMP.now))

    assert erasure is not None
    assert erasure.key == SessionKey("fake", "bot", "-100", None, "erased-x")


def test_records_without_seq_or_time_of_an_older_format_get_both() -> None:
    content = b'{"role":"user","content":"Hello"}\n{"role":"assistant","content":"Hello, you"}\nnot JSON\n'
    key = SessionKey("fake", "bot", ADA, None, ADA)
    erasure = plan_erasure(key, cut_lines([content]), {ADA}, STAMP)

    assert erasure is not None
    after = b"".join(erase_lines(cut_lines([content]), erasure))
    assert kinds(after) == ["session", "erased"]
    assert damage(after, erasure.key.file_name) == []
    assert {"Hello", "Hello, you"} <= erasure.texts


def test_a_record_of_a_later_version_goes_where_it_names_the_person() -> None:
    known = played(("message", ADA, False), ("message", BOB, False))
    later = [f'{{"type":"later","seq":{seq},"ts":"{STAMP.now}","by":"{who}"}}\n' for seq, who in ((3, ADA), (4, EVE))]
    after = erase(known + "".join(later).encode(), ADA)

    third, fourth = map(parse_line, after.splitlines()[3:])
    assert isinstance(third, Erased)
    assert isinstance(fourth, Unknown)
    assert damage(after) == []


def test_whom_a_session_does_not_know_changes_nothing() -> None:
    content = played(("message", BOB, False), ("turn", False, "reply"))

    assert plan_erasure(KEY, cut_lines([content]), {ADA}, STAMP) is None


def test_every_record_that_was_erased_says_when_the_person_was_heard_last() -> None:
    before = played(("message", ADA, False), ("message", BOB, False), ("turn", False, "reply"))
    after = erase(before, ADA)
    records: list[Record | Damaged | Unknown] = [parse_line(line) for line in after.splitlines()]

    [heard] = {record.ts for record in records if isinstance(record, Erased)}
    assert heard == json.loads(before.splitlines()[1])["ts"]
