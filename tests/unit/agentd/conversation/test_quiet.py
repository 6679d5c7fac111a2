from __future__ import annotations

from agentd.conversation.quiet import Quiet


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_waited_for_at_first() -> None:
    assert Quiet(Clock()).left_seconds == 0


def test_what_is_expected_is_waited_for_until_its_time_is_over() -> None:
    clock = Clock()
    quiet = Quiet(clock)
    quiet.expect(2.0)

    assert quiet.left_seconds == 2.0
    clock.now += 1.5
    assert quiet.left_seconds == 0.5
    clock.now += 1.5
    assert quiet.left_seconds == 0


def test_each_part_begins_the_wait_anew() -> None:
    clock = Clock()
    quiet = Quiet(clock)
    quiet.expect(2.0)
    clock.now += 1.5
    quiet.expect(2.0)

    assert quiet.left_seconds == 2.0


def test_the_last_part_ends_the_wait() -> None:
    quiet = Quiet(Clock())
    quiet.expect(2.0)
    quiet.end()

    assert quiet.left_seconds == 0
