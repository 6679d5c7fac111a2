"""These tests check that the offset goes as far as what is done, and no further."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from channels.telegram.progress import Progress

LIMIT = 4

FIRST_ID = 100_000
"""However often it is counted anew, an id stays above 0, as Telegram's do."""


class Polling(RuleBasedStateMachine):
    """A server that gives few updates at once, and a daemon that is done with them in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress()
        self.next_id = FIRST_ID
        self.kept: list[int] = []
        self.lost: list[int] = []
        self.offered: list[int] = []
        self.begun: list[int] = []
        self.done: set[int] = set()

    @rule(count=st.integers(1, 6))
    def arrive(self, count: int) -> None:
        self.kept += range(self.next_id, self.next_id + count)
        self.next_id += count

    @rule(taken=st.integers(0, LIMIT))
    def poll(self, taken: int) -> None:
        """Take so many of what is new, as with a move that waits; what is left comes again."""
        offset = self.progress.offset
        if offset <= self.next_id:
            self.lost += [number for number in self.kept if number < offset and number not in self.done]
            self.kept = [number for number in self.kept if number >= offset]
        for update in self.progress.news([{"update_id": number} for number in self.kept[:LIMIT]])[:taken]:
            self.progress.begin(update["update_id"])
            self.begun.append(update["update_id"])
            self.offered.append(update["update_id"])

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.begun))
        self.begun.remove(number)
        self.done.add(number)
        self.progress.finish(number)

    @precondition(lambda self: not self.begun and not self.kept)
    @rule(lower=st.integers(100, 400))
    def count_anew(self, lower: int) -> None:
        """Nobody wrote for a week."""
        self.next_id -= lower
        self.done.clear()
        self.offered.clear()

    @invariant()
    def nothing_is_confirmed_before_it_is_done(self) -> None:
        assert self.lost == []

    @invariant()
    def nothing_is_offered_twice(self) -> None:
        assert len(self.offered) == len(set(self.offered))

    @invariant()
    def it_is_busy_while_something_is_in_progress(self) -> None:
        assert self.progress.is_busy == bool(self.begun) == (not self.progress.emptied.is_set())

    def teardown(self) -> None:
        for number in self.begun:
            self.progress.finish(number)
        self.begun.clear()
        while self.kept:
            before = list(self.kept)
            self.poll(LIMIT)
            for number in self.begun:
                self.done.add(number)
                self.progress.finish(number)
            self.begun.clear()
            assert self.kept != before or self.progress.offset > self.kept[0]


TestPolling = Polling.TestCase


def news(progress: Progress, *answer: Any) -> list[int]:
    return [update["update_id"] for update in progress.news(list(answer))]


def test_what_has_no_id_is_no_news() -> None:
    progress = Progress()

    assert news(progress, 5, None, {}, {"update_id": "3"}, {"update_id": 3}) == [3]


def test_the_offset_stays_at_the_first_that_is_not_done() -> None:
    progress = Progress()
    for number in news(progress, *({"update_id": number} for number in (3, 4, 5))):
        progress.begin(number)
    progress.finish(5)
    progress.finish(4)
    before = progress.offset
    progress.finish(3)

    assert (before, progress.offset) == (3, 6)


def test_an_answer_without_updates_moves_nothing() -> None:
    progress = Progress()
    for number in news(progress, {"update_id": 9}):
        progress.finish(number)
    progress.news([])

    assert progress.offset == 10
