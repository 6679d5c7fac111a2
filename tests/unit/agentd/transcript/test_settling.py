from __future__ import annotations

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.records import (
    AssistantMessage,
    Damaged,
    Delete,
    Delivery,
    Draft,
    Edit,
    Failure,
    Record,
    Reset,
    SessionHeader,
    UserMessage,
    parse_line,
)
from agentd.transcript.searching import TAIL_BYTES
from agentd.transcript.settling import Boundary, is_settled_end
from agentd.transcript.view import Transcript, fold
from tests.unit.agentd.transcript.building import (
    CALM,
    KEY,
    History,
    answer,
    as_file,
    command,
    failure,
    numbered,
    records,
    sent,
    source,
    user,
)
from tests.unit.agentd.transcript.test_reading import act, steps

Ending = TypeVar("Ending", AssistantMessage, Failure)

ENDS = (1, 100, 300, 700, 1_500, TAIL_BYTES, 1 << 20)


def folded(content: bytes) -> Transcript:
    return fold(parse_line(line) for line in content.split(b"\n") if line.strip())


def proves(content: bytes, most: int = 1 << 20) -> bool:
    """Tell whether so many of the last bytes of a file prove it settled."""
    end = content[-most:]
    return is_settled_end(end, is_whole=len(end) == len(content))


def beside(ending: Ending, *commands: int) -> Ending:
    """Let these commands have been at work while the turn was."""
    return msgspec.structs.replace(ending, beside=commands)


def file_of(*given: Record) -> bytes:
    return as_file(numbered(SessionHeader(version=1, key=KEY), *given))


@CALM
@given(steps, st.integers(0, 400))
def test_no_end_of_a_history_proves_settled_what_is_not_wherever_it_is_cut(
    taken: list[tuple[str, int]], torn: int
) -> None:
    history = History()
    for step, number in taken:
        act(history, step, number)
    lines = as_file(history.records).splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        whole = b"".join(lines[:kept])
        for content in (whole, whole[: max(len(whole) - torn % len(lines[kept - 1]), 1)]):
            is_idle = folded(content).is_idle

            assert not any(proves(content, most) for most in ENDS) or is_idle
            assert proves(content) == is_idle or any(isinstance(parse_line(line), Damaged) for line in lines)


@CALM
@given(st.lists(records, max_size=12), st.lists(st.sampled_from([b"", b"{", b"\xff\xfe", b"[]", b"   "]), max_size=3))
def test_any_records_that_are_all_there_are_judged_as_the_fold_judges_them(
    given: list[Record], garbage: list[bytes]
) -> None:
    """Without a delivered turn there is no boundary, and then no assumption either."""
    lines = [line for record in given for line in (as_file([record]), *(junk + b"\n" for junk in garbage))]
    content = b"".join(lines)
    boundary = Boundary()
    for record in reversed(given):
        boundary.pass_by(record)

    assert boundary.is_reached or not proves(content) or folded(content).is_idle


def turns(count: int, text: str = "a reply of ordinary length. ") -> list[Record]:
    """Return a session of turns as the daemon writes them."""
    found: list[Record] = [SessionHeader(version=1, key=KEY)]
    for number in range(count):
        seq = len(found)
        found += [
            user(f"m{number}"),
            Draft(answers=(seq,), part=0, state="sending"),
            Draft(answers=(seq,), part=0, state="sent", message_id=f"p{number}"),
            answer(seq, content=text * 6),
            sent(seq + 3),
        ]
    return numbered(*found)


@pytest.mark.parametrize("count", [1, 2, 25])
def test_an_ordinary_settled_file_is_proven_so_by_its_last_block(count: int) -> None:
    content = as_file(turns(count))

    assert proves(content, TAIL_BYTES)
    for lost in range(1, 5):
        left = b"".join(content.splitlines(keepends=True)[:-lost])

        assert not proves(left, TAIL_BYTES)


def test_a_reply_that_waits_behind_an_ending_that_nobody_was_told_is_found() -> None:
    content = file_of(user("m1"), answer(1), user("m3"), failure(3, told=False), Reset(reason="new"))

    assert not any(proves(content, most) for most in range(1, len(content) + 1))


def test_a_message_behind_a_settled_turn_waits() -> None:
    history = turns(25)
    content = as_file([*history, user("new", seq=len(history))])

    assert not proves(content, TAIL_BYTES)


def test_a_message_that_came_before_its_turns_reply_and_was_not_in_it_waits() -> None:
    content = file_of(user("m1"), user("m2"), answer(1), sent(3))

    assert not proves(content)
    assert proves(content + as_file([answer(2, seq=5), sent(5)]).replace(b'"seq":-1', b'"seq":6'))


def test_what_a_retry_answers_is_no_boundary() -> None:
    retried: list[Record] = [command("retry", seq=4), answer(4, seq=5), Delivery(of=5, state="sent", seq=6)]
    waiting: list[Record] = [
        SessionHeader(version=1, key=KEY, seq=0),
        user("m1", seq=1),
        answer(1, seq=2),
        user("m2", seq=3),
    ]
    content = as_file([*waiting, *retried])

    assert not proves(content)


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ((command("status"), sent(1)), True),
        ((command("status"),), False),
        ((command("new"), Reset(reason="new", source=source("c")), sent(1)), True),
        ((command("new"), Reset(reason="new", source=source("c"))), False),
        ((user("m"), failure(1, told=False)), True),
        ((user("m"), failure(1, told=True)), False),
        ((user("m"), failure(1, told=True), sent(2)), True),
        ((failure(told=True),), False),
        ((user("m"), Delete(of=1)), True),
        ((user("m"), Delete(of=7)), False),
        ((user("m"), Edit(of=1, content="x", edited_at="\u00ff"), Delete(of=1)), False),
        ((command("compact"), user("m"), answer(2), sent(3)), True),  # which says nothing of one beside it
        ((command("compact"), user("m"), beside(answer(2), 1), sent(3)), False),
        ((command("compact"), user("m"), beside(answer(2), 1), sent(3), sent(1)), True),
        ((command("compact"), user("m"), beside(failure(2), 1), sent(3)), False),
        ((command("compact"), user("m"), beside(answer(2), 1), sent(3), user("n"), answer(5), sent(6)), True),
        ((UserMessage(content="history"), answer(content="reply without answers")), True),
        ((), True),
    ],
)
def test_each_kind_of_end_is_told(given: tuple[Record, ...], settled: bool) -> None:
    assert proves(file_of(*given)) == settled


def test_a_record_without_a_seq_proves_nothing() -> None:
    assert not proves(as_file([user("m"), answer(0, seq=1), sent(1)]))


def test_a_damaged_reply_settles_nothing() -> None:
    content = file_of(user("m"), answer(1, content="a reply"), sent(2))
    damaged = content.replace(b"a reply", b"a \xffeply")

    assert proves(content)
    assert not proves(damaged)
    assert not folded(damaged).is_idle


def test_what_a_delivered_reply_tells_of_is_settled_though_the_message_can_no_longer_be_read() -> None:
    settled = as_file(turns(1)).replace(b"text of m0", b"text of \xff0")
    most = len(settled) - 10

    assert proves(settled, most)
    for once, instead in [
        (b'"of":4', b'"of":2'),
        (b'"answers":[1],"outcome"', b'"answers":[],"outcome"'),
        (b'"type":"message","seq":1,', b'"type":"message","seq":2,'),
        (b'"type":"message","seq":1,', b'"type":"command","seq":1,'),
        (b'"role":"user","content":"text of \xff0"', b'"role":"else","content":"text of \xff0"'),
        (b'"type":"draft","seq":2,', b'"type":"graft","seq":2,'),
    ]:
        assert settled.count(once) == 1
        assert not proves(settled.replace(once, instead), most)


def test_a_reply_that_begins_the_bytes_that_were_read_proves_nothing() -> None:
    lines = as_file(turns(2)).splitlines(keepends=True)

    assert not is_settled_end(b"".join(lines[-2:]), is_whole=False)
    assert not is_settled_end(b"".join(lines[-1:]), is_whole=False)
    assert not is_settled_end(b"".join(lines[-5:]).replace(b"text of m1", b"text of \xff1")[1:], is_whole=False)
