"""These tests check which messages are remembered so that they are not answered again when they come again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentd.transcript.clock import format_time
from agentd.transcript.seen import SEEN_MESSAGES, Seen
from tests.unit.agentd.transcript.building import START


def at(days: float = 0, seconds: float = 0) -> str:
    return format_time(START + timedelta(days=days, seconds=seconds))


def known(seen: Seen) -> list[tuple[str, int]]:
    return [(message_id, seq) for _, message_id, seq in seen]


def test_ids_that_are_read_later_are_known_by_chat_and_id_and_stand_before_the_newer_ones() -> None:
    seen = Seen()
    seen.add("chat", "new", 9, at(seconds=9))
    seen.join(Seen.of([("chat", "old", 1, at(seconds=1)), ("group", "old", 2, at(seconds=2))]))

    assert list(seen) == [("chat", "old", 1), ("group", "old", 2), ("chat", "new", 9)]
    assert [seen.find("chat", "old"), seen.find("group", "old"), seen.find("chat", "new")] == [1, 2, 9]
    assert seen.find("group", "new") is None


def test_what_was_joined_is_forgotten_by_its_own_times() -> None:
    seen = Seen()
    for number in range(SEEN_MESSAGES):
        seen.add("chat", f"new {number}", 2 + number, at(days=5))
    seen.join(Seen.of([("chat", "long ago", 0, at()), ("chat", "this morning", 1, at(days=4.9))]))
    seen.add("chat", "last", 9_000, at(days=5.1))

    assert seen.find("chat", "long ago") is None
    assert seen.find("chat", "this morning") == 1
    assert seen.find("chat", "last") == 9_000


def test_those_that_were_added_keep_their_times_when_older_ones_are_joined() -> None:
    seen = Seen()
    for number in range(SEEN_MESSAGES + 500):
        seen.add("chat", str(number), number, at(days=5, seconds=number))
    seen.join(Seen.of([("group", "long ago", 0, at())]))
    seen.add("chat", "last", 9_000, at(days=5.1))

    assert known(seen)[0] == ("0", 0)
    assert len(seen) == SEEN_MESSAGES + 501


@pytest.mark.parametrize("more", [1, 2, 3, 500])
def test_of_old_messages_the_last_two_thousand_are_known_and_no_fewer(more: int) -> None:
    seen = Seen()
    for number in range(SEEN_MESSAGES + more):
        seen.add("chat", str(number), number, at(days=number))

    assert known(seen)[0] == (str(more), more)
    assert len(seen) == SEEN_MESSAGES


def test_after_a_busy_day_and_a_quiet_one_all_but_the_last_two_thousand_are_forgotten_at_once() -> None:
    seen = Seen()
    for number in range(SEEN_MESSAGES + 500):
        seen.add("chat", str(number), number, at(seconds=number))
    busy = len(seen)
    seen.add("chat", "next", 9_000, at(days=3))

    assert busy == SEEN_MESSAGES + 500
    assert len(seen) == SEEN_MESSAGES
    assert known(seen)[0] == ("501", 501)


def test_an_id_that_is_no_unicode_is_known_too() -> None:
    seen = Seen.of([("chat", "\ud800", 1, at())])

    assert seen.find("chat", "\ud800") == 1
    assert list(seen) == [("chat", "\ud800", 1)]
