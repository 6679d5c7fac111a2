"""These tests check how much of a session is read back: as much as a prompt can hold, and no more."""

from __future__ import annotations

from pathlib import Path

from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.reading import load
from agentd.transcript.records import Record, SessionHeader
from agentd.transcript.seen import SEEN_MESSAGES
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import KEY, History, answer, as_file, numbered, put, sent, user

PATH = Path("/nowhere/a.jsonl")


def test_a_long_conversation_without_a_reset_is_read_no_further_than_a_prompt_can_use() -> None:
    history = History()
    for _ in range(SEEN_MESSAGES * 4):
        history.say()
        history.reply()
        history.wait(0.05)
    disk = FakeDisk(MemoryDisk())
    loaded = load(disk, PATH, put(disk, PATH, as_file(history.records)), most_characters=1_000)

    assert loaded.view.is_cut
    assert loaded.view.turns == history.view.turns[-len(loaded.view.turns) :]
    assert 10 < len(loaded.view.turns) < 1_000
    assert disk.bytes_read < loaded.length / 2


def test_one_endless_message_does_not_hide_what_was_said_before_it() -> None:
    """A prompt holds no more of it than half: those before it may fit beside it."""
    said: list[Record] = [
        user("m1"),
        answer(1),
        sent(2),
        user("m4", "x" * 5_000),
        answer(4),
        sent(5),
        user("m7"),
        answer(7),
        sent(8),
    ]
    disk = FakeDisk(MemoryDisk())
    records = numbered(SessionHeader(version=1, key=KEY), *said)
    loaded = load(disk, PATH, put(disk, PATH, as_file(records)), most_characters=2_000)

    assert not loaded.view.is_cut
    assert [turn.messages[0].seq for turn in loaded.view.turns] == [1, 4, 7]
