from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agentd.admission.rate_limit import REMEMBERED_SECONDS, RateLimiter, RateVerdict

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, BOB = ("fake", "ada"), ("fake", "bob")
MOST = 3

Moments = st.lists(st.integers(0, 400), max_size=60)
"""Seconds after the start; many fall into one minute."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def judge_all(limiter: RateLimiter, moments: list[int]) -> list[RateVerdict]:
    return [limiter.judge(ADA, ("dm", str(number)), at(moment), 0) for number, moment in enumerate(moments)]


def most_in_a_minute(moments: list[int]) -> int:
    return max((sum(first <= moment < first + 60 for moment in moments) for first in moments), default=0)


@given(Moments)
def test_no_minute_has_more_than_the_limit_in_whatever_order_messages_come(moments: list[int]) -> None:
    judged = judge_all(RateLimiter(MOST), moments)
    admitted = [moment for moment, verdict in zip(moments, judged, strict=True) if verdict is RateVerdict.ADMIT]

    assert most_in_a_minute(admitted) <= MOST


@given(Moments, st.randoms(use_true_random=False))
def test_who_stays_below_the_limit_is_never_held_up(moments: list[int], dice: random.Random) -> None:
    calm: list[int] = []
    for moment in moments:
        if most_in_a_minute([*calm, moment]) <= MOST:
            calm.append(moment)
    dice.shuffle(calm)

    assert set(judge_all(RateLimiter(MOST), calm)) <= {RateVerdict.ADMIT}


@given(Moments)
def test_a_message_that_was_admitted_comes_through_again_and_counts_once(moments: list[int]) -> None:
    once, twice = RateLimiter(MOST), RateLimiter(MOST)
    judged = judge_all(once, moments)
    again: list[RateVerdict] = []
    for number, (moment, verdict) in enumerate(zip(moments, judged, strict=True)):
        again.append(twice.judge(ADA, ("dm", str(number)), at(moment), 0))
        if verdict is RateVerdict.ADMIT:
            assert twice.judge(ADA, ("dm", str(number)), at(moment), 0) is RateVerdict.ADMIT

    assert again == judged


def test_sixty_messages_of_twenty_hours_that_come_at_once_are_no_flood() -> None:
    limiter = RateLimiter(20)
    judged = [limiter.judge(ADA, ("dm", str(number)), at(number * 1200), 0.0) for number in range(60)]

    assert judged == [RateVerdict.ADMIT] * 60


def test_a_burst_is_admitted_up_to_the_limit_then_told_once_and_dropped() -> None:
    assert judge_all(RateLimiter(MOST), [0, 1, 2, 3, 4, 59, 60, 61]) == [
        *[RateVerdict.ADMIT] * 3,
        RateVerdict.WARN,
        RateVerdict.DROP,
        RateVerdict.DROP,
        *[RateVerdict.ADMIT] * 2,
    ]


def test_a_flood_that_does_not_end_is_told_once() -> None:
    judged = judge_all(RateLimiter(MOST), list(range(600)))

    assert judged.count(RateVerdict.WARN) == 1
    assert judged.count(RateVerdict.ADMIT) == MOST * 10


def test_after_a_minute_without_a_drop_the_next_one_is_told() -> None:
    burst = [0] * 4

    assert judge_all(RateLimiter(MOST), [*burst, *(moment + 59 for moment in burst)])[-1] is RateVerdict.DROP
    assert judge_all(RateLimiter(MOST), [*burst, *(moment + 60 for moment in burst)])[-1] is RateVerdict.WARN


def test_a_warning_that_did_not_arrive_is_given_again() -> None:
    limiter = RateLimiter(1)
    judged = [limiter.judge(ADA, ("dm", str(number)), START, 0) for number in range(2)]
    limiter.unwarn(ADA)
    limiter.unwarn(BOB)
    judged.append(limiter.judge(ADA, ("dm", "2"), START, 0))

    assert judged == [RateVerdict.ADMIT, RateVerdict.WARN, RateVerdict.WARN]


def test_people_and_chats_are_told_apart_by_their_ids() -> None:
    limiter = RateLimiter(1)
    judged = [
        limiter.judge(ADA, ("dm", "1"), START, 0),
        limiter.judge(BOB, ("dm", "1"), START, 0),
        limiter.judge(("other", "ada"), ("dm", "1"), START, 0),
        limiter.judge(ADA, ("group", "1"), START, 0),
    ]

    assert judged == [RateVerdict.ADMIT, RateVerdict.ADMIT, RateVerdict.ADMIT, RateVerdict.WARN]


def test_who_has_not_been_seen_for_long_is_forgotten_and_so_are_old_messages() -> None:
    limiter = RateLimiter(1)
    limiter.judge(ADA, ("dm", "1"), START, 0)
    limiter.judge(BOB, ("dm", "1"), START, 1)
    later = REMEMBERED_SECONDS + 0.5
    judged = limiter.judge(BOB, ("dm", "1"), START, later)
    known = len(limiter)
    limiter.judge(ADA, ("dm", "1"), START, later + REMEMBERED_SECONDS + 1)

    assert judged is RateVerdict.ADMIT
    assert (known, len(limiter)) == (1, 1)


def test_a_message_that_is_offered_again_and_again_stays_known() -> None:
    limiter = RateLimiter(1)
    judged = [limiter.judge(ADA, ("dm", "1"), START, 0), limiter.judge(ADA, ("dm", "2"), at(90), 0)]
    judged.extend(limiter.judge(ADA, ("dm", "1"), START, minute * 60) for minute in range(60))

    assert set(judged) == {RateVerdict.ADMIT}
    assert limiter.judge(ADA, ("dm", "3"), at(89), 3540) is RateVerdict.ADMIT  # the second is forgotten by now


def test_a_message_that_comes_late_is_admitted_where_the_first_and_the_last_are_a_minute_apart() -> None:
    assert judge_all(RateLimiter(MOST), [0, 10, 60, 30]) == [RateVerdict.ADMIT] * 4


def test_the_limit_holds_on_a_machine_that_has_run_for_long() -> None:
    limiter = RateLimiter(1)
    judged = [limiter.judge(ADA, ("dm", str(number)), at(number), 1_000_000 + number) for number in range(3)]

    assert judged == [RateVerdict.ADMIT, RateVerdict.WARN, RateVerdict.DROP]


def test_a_message_that_comes_again_with_another_time_counts_by_its_first_and_is_forgotten_with_it() -> None:
    limiter = RateLimiter(1)
    limiter.judge(ADA, ("dm", "1"), START, 0)
    again = limiter.judge(ADA, ("dm", "1"), at(100), 1)
    limiter.judge(ADA, ("dm", "2"), at(200), REMEMBERED_SECONDS)
    later = REMEMBERED_SECONDS + 2

    assert again is RateVerdict.ADMIT
    assert limiter.judge(ADA, ("dm", "3"), at(199), later) is not RateVerdict.ADMIT  # the second still counts
    assert limiter.judge(ADA, ("dm", "4"), START, later) is RateVerdict.ADMIT  # the first counts no more


def test_a_limit_that_changes_counts_what_was_sent_before_it() -> None:
    limiter = RateLimiter(MOST)
    judge_all(limiter, [0, 1])
    limiter.change(2)

    assert limiter.judge(ADA, ("dm", "more"), at(2), 0) is not RateVerdict.ADMIT
    assert limiter.judge(BOB, ("dm", "first"), at(2), 0) is RateVerdict.ADMIT
