from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.providers.breaker import FAILURES, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Breaker


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker(time)


def ask(breaker: Breaker) -> int:
    ticket = breaker.admit()
    assert ticket is not None
    return ticket


def trip(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        breaker.fail(ask(breaker))


def test_it_opens_at_the_third_failure_in_a_row(breaker: Breaker) -> None:
    opened = [breaker.fail(ask(breaker)) for _ in range(FAILURES)]

    assert opened == [False, False, True]
    assert breaker.pause_seconds == FIRST_PAUSE_SECONDS
    assert breaker.admit() is None


def test_an_answer_between_failures_begins_the_count_anew(breaker: Breaker) -> None:
    breaker.fail(ask(breaker))
    breaker.fail(ask(breaker))
    breaker.succeed(ask(breaker))

    assert [breaker.fail(ask(breaker)) for _ in range(FAILURES)] == [False, False, True]


def test_after_the_pause_one_alone_may_try(breaker: Breaker, time: Time) -> None:
    trip(breaker)
    time.now += FIRST_PAUSE_SECONDS - 0.1
    before = breaker.admit()
    time.now += 0.1

    assert before is None
    assert breaker.admit() is not None
    assert breaker.admit() is None


def test_a_trial_that_works_closes_it(breaker: Breaker, time: Time) -> None:
    trip(breaker)
    time.now += FIRST_PAUSE_SECONDS
    closed = breaker.succeed(ask(breaker))

    assert closed
    assert breaker.pause_seconds == 0
    assert [breaker.fail(ask(breaker)) for _ in range(FAILURES)] == [False, False, True]
    assert breaker.pause_seconds == FIRST_PAUSE_SECONDS


def test_each_failed_trial_doubles_the_pause_up_to_a_bound(breaker: Breaker, time: Time) -> None:
    trip(breaker)
    pauses = []
    for _ in range(5):
        time.now += breaker.pause_seconds
        assert breaker.fail(ask(breaker))
        pauses.append(breaker.pause_seconds)

    assert pauses == [60, 120, 240, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_a_trial_that_nobody_waited_for_lets_the_next_one_try(breaker: Breaker, time: Time) -> None:
    trip(breaker)
    time.now += FIRST_PAUSE_SECONDS
    breaker.abandon(ask(breaker))

    assert breaker.admit() is not None
    assert breaker.pause_seconds == FIRST_PAUSE_SECONDS


def test_a_late_failure_of_what_was_asked_before_it_opened_is_none(breaker: Breaker, time: Time) -> None:
    late = ask(breaker)
    trip(breaker)
    again_at = breaker.again_at
    time.now += 10

    assert not breaker.fail(late)
    assert breaker.again_at == again_at


def test_a_late_failure_is_none_however_often_it_opened_before(breaker: Breaker, time: Time) -> None:
    for _ in range(3):
        late = ask(breaker)
        trip(breaker)
        again_at = breaker.again_at
        time.now += FIRST_PAUSE_SECONDS

        assert not breaker.fail(late)
        assert breaker.again_at == again_at
        assert breaker.succeed(ask(breaker))


def test_failures_of_what_was_asked_before_it_closed_do_not_open_it_again(breaker: Breaker) -> None:
    trip(breaker)
    late = [breaker.insist() for _ in range(FAILURES)]
    breaker.succeed(breaker.insist())

    assert [breaker.fail(ticket) for ticket in late] == [False] * FAILURES
    assert breaker.pause_seconds == 0


def test_an_answer_while_it_is_closed_changes_nothing_for_what_was_asked_at_the_same_time(breaker: Breaker) -> None:
    tickets = [ask(breaker) for _ in range(FAILURES)]

    assert not breaker.succeed(ask(breaker))
    assert [breaker.fail(ticket) for ticket in tickets] == [False, False, True]


def test_a_late_answer_closes_it(breaker: Breaker) -> None:
    late = ask(breaker)
    trip(breaker)

    assert breaker.succeed(late)
    assert breaker.admit() is not None


def test_who_has_nobody_else_may_ask_in_the_pause(breaker: Breaker) -> None:
    trip(breaker)
    closed = breaker.succeed(breaker.insist())

    assert closed
    assert breaker.admit() is not None


@given(st.lists(st.sampled_from(["ask", "insist", "succeed", "fail", "abandon", "wait"]), max_size=60))
def test_whatever_happens_somebody_gets_to_ask_again(steps: list[str]) -> None:
    time = Time()
    breaker = Breaker(time)
    tickets: list[int] = []
    for step in steps:
        if step == "wait":
            time.now += LONGEST_PAUSE_SECONDS
        elif step in ("ask", "insist"):
            ticket = breaker.admit() if step == "ask" else breaker.insist()
            tickets += [] if ticket is None else [ticket]
        elif tickets:
            settle = {"succeed": breaker.succeed, "fail": breaker.fail, "abandon": breaker.abandon}[step]
            settle(tickets.pop(0))
    for ticket in tickets:
        breaker.abandon(ticket)
    time.now += LONGEST_PAUSE_SECONDS

    assert breaker.admit() is not None
    assert breaker.pause_seconds <= LONGEST_PAUSE_SECONDS


def test_who_gives_up_a_try_from_before_lets_nobody_else_in(breaker: Breaker, time: Time) -> None:
    early = ask(breaker)
    trip(breaker)
    time.now += FIRST_PAUSE_SECONDS
    ask(breaker)

    assert not breaker.abandon(early)
    assert breaker.admit() is None
