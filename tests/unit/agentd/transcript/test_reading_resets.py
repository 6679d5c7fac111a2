"""Reading back across a reset: what was said between `/new` and it belongs to the new conversation."""

from __future__ import annotations

from pathlib import Path

from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.reading import load
from agentd.transcript.records import Compaction, Delivery, Record, Reset, SessionHeader
from agentd.transcript.view import fold
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import KEY, answer, as_file, command, numbered, put, source, user

PATH = Path("/nowhere/fake~bot~chat~~.jsonl")


def test_a_compaction_that_begins_between_new_and_its_reset_counts_when_only_its_end_need_be_read() -> None:
    records = numbered(
        SessionHeader(version=1, key=KEY),
        command("new"),
        user("a"),
        user("b"),
        Reset(reason="new", source=source("c")),
        Delivery(of=1, state="sent"),
        answer(2),
        Delivery(of=6, state="sent"),
        answer(3),
        Delivery(of=8, state="sent"),
        Compaction(covers=(2, 3), digest="0" * 64, summary="of both"),
        user("d"),
        answer(11),
        Delivery(of=12, state="sent"),
    )
    disk = MemoryDisk()
    view = load(disk, PATH, put(disk, PATH, as_file(records))).view

    assert view.summary == records[10]
    assert view.live_turns == fold(records).live_turns


def test_two_resets_before_an_answer_are_no_reason_to_read_what_was_said_before_them() -> None:
    """Someone wrote `/new` twice and then a message, while the turn before was still being cut."""
    past: list[Record] = []
    for number in range(1, 300, 3):
        past += [user(f"m{number}"), answer(number), Delivery(of=number + 1, state="sent")]
    first = len(past) + 1
    records = numbered(
        SessionHeader(version=1, key=KEY),
        *past,
        command("new", "c1"),
        command("new", "c2"),
        user("a"),
        Reset(reason="new", source=source("c1")),
        Delivery(of=first, state="sent"),
        Reset(reason="new", source=source("c2")),
        Delivery(of=first + 1, state="sent"),
        answer(first + 2),
        Delivery(of=first + 7, state="sent"),
    )
    disk = FakeDisk(MemoryDisk())
    loaded = load(disk, PATH, put(disk, PATH, as_file(records)), most_characters=200)

    assert loaded.view.live_turns == fold(records).live_turns
    assert len(loaded.view.live_turns) == 1
    assert not loaded.view.is_cut
    assert disk.lines_read < 12
