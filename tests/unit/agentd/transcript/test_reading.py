from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentd.transcript.file_disk import READ_BLOCK_BYTES
from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.reading import Loaded, load, load_ids
from agentd.transcript.records import (
    AssistantMessage,
    Compaction,
    Delivery,
    Record,
    Reset,
    SessionHeader,
    UserMessage,
    encode_line,
    parse_line,
)
from agentd.transcript.seen import SEEN_MESSAGES
from agentd.transcript.store import open_store_on
from agentd.transcript.view import Transcript, fold
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import (
    CALM,
    KEY,
    History,
    answer,
    as_file,
    compaction,
    failure,
    numbered,
    put,
    start_clock,
    user,
)

PATH = Path("/nowhere/fake~bot~chat~~.jsonl")


def read(content: bytes) -> tuple[Loaded, FakeDisk]:
    """Read a file of these bytes back, and tell from which disk."""
    disk = FakeDisk(MemoryDisk())
    return load(disk, PATH, put(disk, PATH, content)), disk


def read_with_ids(content: bytes) -> tuple[Transcript, FakeDisk]:
    """Read a file back, and on for the ids that are needed to recognise redeliveries."""
    loaded, disk = read(content)
    if loaded.older is not None:
        loaded.view.seen.join(load_ids(disk, PATH, loaded.older))
    return loaded.view, disk


def what_matters(view: Transcript) -> dict[str, object]:
    """Return what the next prompt, and the work that is left, depend on."""
    return {
        "turns": view.live_turns,
        "pending": view.pending,
        "commands": view.commands,
        "acted": view.acted,
        "undelivered": view.undelivered,
        "next_seq": view.next_seq,
        "summary": view.summary,
    }


@cache
def long_past() -> tuple[tuple[Record, ...], bytes]:
    """Return a session of three days: a reset, two compactions, then more messages than must be remembered."""
    history = History()
    for number in range(SEEN_MESSAGES + 300):
        history.say()
        history.reply()
        history.wait(0.03)
        if number == 100:
            history.reset()
        if number in (150, 200):
            history.compact(keep=10)
    return tuple(history.records), as_file(history.records)


FRAMES = (SessionHeader, Compaction, Reset)

TALK = ["say", "reply", "answer", "fail", "silent", "deliver", "status", "retry", "wait"]
FRAME = ["reset", "compact", "undo", "edit", "delete"]

steps = st.lists(
    st.tuples(
        st.sampled_from([*TALK, *FRAME]),
        st.integers(0, 6),
    ),
    max_size=30,
)


def act(history: History, step: str, number: int) -> None:
    match step:
        case "answer" | "reply":
            getattr(history, step)(most=number + 1)
        case "fail" | "silent":
            history.fail(told=step == "fail")
        case "status":
            history.command("status")
        case "wait":
            history.wait(number * 10)
        case "compact":
            history.compact(keep=number)
        case "edit" | "delete":
            history.change(back=number, deleted=step == "delete")
        case _:
            getattr(history, step)()


@settings(CALM, max_examples=60)
@given(steps)
def test_reading_back_gives_what_the_whole_file_gives(taken: list[tuple[str, int]]) -> None:
    past, past_bytes = long_past()
    history = History()
    history.records = list(past)
    history.view = fold(past)
    history.wait(80)
    for step, number in taken:
        act(history, step, number)
    view, _ = read_with_ids(past_bytes + as_file(history.records[len(past) :]))

    assert what_matters(view) == what_matters(history.view)
    assert len(history.view.seen) >= SEEN_MESSAGES
    assert list(history.view.seen) == list(view.seen)[-len(history.view.seen) :]


@CALM
@given(steps)
def test_reading_a_short_file_back_gives_all_of_it(taken: list[tuple[str, int]]) -> None:
    history = History()
    for step, number in taken:
        act(history, step, number)
    content = as_file(history.records)
    view, _ = read_with_ids(content)

    assert what_matters(view) == what_matters(history.view)
    assert list(view.seen) == list(history.view.seen)
    assert read(content)[0].ends_in_newline


def test_reading_back_costs_the_live_part_and_not_the_file() -> None:
    """A file of years does not fit into memory."""
    past, past_bytes = long_past()
    now = past[-1].ts
    newest: list[Record] = [Reset(reason="new", seq=len(past), ts=now), user("m", seq=len(past) + 1, ts=now)]
    content = past_bytes * 20 + as_file(newest)
    loaded, disk = read(content)
    view, later_disk = read_with_ids(content)

    assert list(loaded.view.pending) == list(view.pending) == [len(past) + 1]
    assert loaded.view.turns == []
    assert disk.lines_read < 10
    assert later_disk.lines_read < 3 * SEEN_MESSAGES + 100
    assert later_disk.bytes_read < len(past_bytes) * 1.1


@pytest.mark.parametrize("undone", [False, True])
def test_reading_stops_at_what_the_compaction_in_force_covers(undone: bool) -> None:
    history = History()
    for number in range(SEEN_MESSAGES + 600):
        history.say()
        history.reply()
        history.wait(0.03)
        if number in (150, 2300):
            history.compact(keep=0)
    if undone:
        history.undo()
    loaded, disk = read(as_file(history.records))

    assert what_matters(loaded.view) == what_matters(history.view)
    assert (disk.lines_read < len(history.records) - 1500) == (not undone)


def test_a_reply_that_could_not_be_delivered_before_a_reset_is_not_forgotten() -> None:
    """The platform was away; `/new` superseded what waited behind the reply."""
    history = History()
    history.say()
    history.reply()
    history.say()
    history.answer()
    history.say()
    history.command("new")
    history.fail(told=False)
    history.add(Reset(reason="new"))
    loaded, _ = read(as_file(history.records))

    assert what_matters(loaded.view) == what_matters(history.view)
    assert [end.content for end in loaded.view.undelivered.values() if isinstance(end, AssistantMessage)] == [
        "reply to (4,)"
    ]


def test_a_file_without_a_reset_or_a_compaction_is_read_to_its_start() -> None:
    history = History()
    for _ in range(SEEN_MESSAGES + 300):
        history.say()
        history.reply()
        history.wait(0.03)
    loaded, _ = read(as_file(history.records))

    assert len(loaded.view.turns) == SEEN_MESSAGES + 300
    assert loaded.view.key == KEY


def older_file(turns: int) -> bytes:
    """Return a file of an older format: role and content, no seq, no header."""
    pairs = [{"role": role, "content": f"{role} {number}"} for number in range(turns) for role in ("user", "assistant")]
    return b"".join(json.dumps(line).encode() + b"\n" for line in pairs)


def test_a_file_of_an_older_format_is_read_whole_and_its_lines_get_seqs() -> None:
    loaded, disk = read(older_file(SEEN_MESSAGES + 500))

    assert len(loaded.view.turns) == SEEN_MESSAGES + 500
    assert [turn.messages[0].seq for turn in loaded.view.turns[:3]] == [0, 2, 4]
    assert loaded.view.next_seq == 2 * (SEEN_MESSAGES + 500)
    assert loaded.view.is_idle
    assert disk.bytes_read >= loaded.length


def test_what_follows_the_lines_of_an_older_format_is_counted_from_them() -> None:
    old = older_file(3)
    new = as_file([user("m", seq=6), answer(6, seq=7), compaction(4, seq=8)])
    loaded, _ = read(old + new)

    assert [turn.messages[-1].content for turn in loaded.view.live_turns] == ["text of m"]
    assert loaded.view.next_seq == 9


def test_lines_of_an_older_format_behind_numbered_ones_go_on_from_them() -> None:
    """Someone went back to an older program for a while."""
    past, past_bytes = long_past()
    reset = Reset(reason="new", seq=len(past), ts=past[-1].ts)
    loaded, disk = read(past_bytes + as_file([reset]) + older_file(2))

    assert [turn.messages[0].seq for turn in loaded.view.turns] == [len(past) + 1, len(past) + 3]
    assert disk.bytes_read >= loaded.length


def test_reading_does_not_stop_at_lines_of_an_older_format_that_are_still_live() -> None:
    past, _ = long_past()
    later = [msgspec.structs.replace(record, seq=record.seq + 99) for record in past if not isinstance(record, FRAMES)]
    later = [record for record in later if not isinstance(record, AssistantMessage | Delivery)]
    summary = compaction(51, seq=later[-1].seq + 1)
    loaded, _ = read(older_file(50) + as_file([*later, summary]))

    assert [turn.messages[0].seq for turn in loaded.view.live_turns] == list(range(52, 100, 2))


@pytest.mark.parametrize("blank", [b"\n", b"\n\n\n", b"  \n", b"\r\n", b"\t\n \n"])
def test_blank_lines_are_passed_over(blank: bytes) -> None:
    first, second = (encode_line(record) for record in numbered(user("m0"), user("m1")))
    loaded, _ = read(blank + first + blank + second + blank)

    assert list(loaded.view.pending) == [0, 1]
    assert (loaded.view.damaged_lines, loaded.ends_in_newline) == (0, True)


@pytest.mark.parametrize("garbage", [b"not json", b"{", b"\x00\x00\x00", b"\xff\xfe", b"[" * 5000, b"x" * 200_000])
def test_a_damaged_line_between_two_good_ones_loses_neither(garbage: bytes) -> None:
    """A torn line must not swallow the next record."""
    first, second = (encode_line(record) for record in numbered(user("m0"), user("m1")))
    loaded, _ = read(first + garbage + b"\n" + second)

    assert list(loaded.view.pending) == [0, 1]
    assert (loaded.view.damaged_lines, loaded.view.next_seq) == (1, 2)


def test_a_whole_last_line_without_its_newline_counts() -> None:
    content = as_file(numbered(user("m0"), answer(0)))
    loaded, _ = read(content[:-1])

    assert list(loaded.view.undelivered) == [1]
    assert not loaded.ends_in_newline


def test_lines_end_in_either_newline_of_the_platforms() -> None:
    content = as_file(numbered(user("m0"), failure(0))).replace(b"\n", b"\r\n")
    loaded, _ = read(content)

    assert list(loaded.view.undelivered) == [1]
    assert loaded.view.damaged_lines == 0


SMALL = as_file(
    numbered(
        SessionHeader(version=1, key=KEY),
        user("m1", "Grüße 👋"),
        answer(1, content="a\nb"),
        failure(3),
        Reset(reason="new"),
        user("m5"),
        Compaction(covers=(0, 1), digest="", summary="s"),
        UserMessage(content="history"),
    )
)


def intact(content: bytes, cut: int) -> list[Record]:
    """Return the records whose line is whole after a cut, with or without its newline."""
    ends = [at for at, byte in enumerate(content) if byte == ord("\n")]
    whole = content[: max((end for end in ends if end <= cut), default=0)]
    found = [parse_line(line) for line in whole.splitlines()]
    return [record for record in found if isinstance(record, Record)]


async def test_a_cut_at_any_byte_loses_the_record_that_was_cut_and_the_next_append_closes_it() -> None:
    for cut in range(len(SMALL) + 1):
        disk = FakeDisk(MemoryDisk())
        path = PATH.parent / f"{KEY.file_name}.jsonl"
        put(disk, path, SMALL[:cut])
        left = intact(SMALL, cut)

        async with open_store_on(disk, path.parent, start_clock) as store:
            session = await store.open(KEY)
            before = session.view
            assert what_matters(before) == what_matters(fold(left))
            assert before.damaged_lines == (cut not in {0, *whole_line_cuts()})
            [added] = await store.append(session, user("next"))

        length, content = disk.start(path)
        again = [load(disk, path, length).view for _ in range(2)]
        header = [] if left else [SessionHeader(version=1, key=KEY, seq=0)]
        assert content.startswith(SMALL[:cut])
        assert added.seq == len(left) + len(header)
        assert again[0] == again[1] == session.view
        assert what_matters(again[0]) == what_matters(fold([*left, *header, added]))
        assert again[0].damaged_lines == before.damaged_lines


def whole_line_cuts() -> set[int]:
    """Return where a cut leaves no line torn: before or after a newline."""
    ends = {at for at, byte in enumerate(SMALL) if byte == ord("\n")}
    return ends | {end + 1 for end in ends}


@CALM
@given(st.binary(max_size=200), st.lists(st.binary(max_size=60)))
def test_no_bytes_make_reading_raise(tail: bytes, lines: list[bytes]) -> None:
    loaded, _ = read(SMALL + b"\n".join(lines) + tail)

    assert loaded.view.next_seq >= 8


def test_a_line_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    text = "long " * READ_BLOCK_BYTES
    loaded, _ = read(as_file(numbered(user("m0"), user("m1", text), user("m2"))))

    assert [message.content for message in loaded.view.pending.values()] == ["text of m0", text, "text of m2"]
