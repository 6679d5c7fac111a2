from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agentd.admission.pace import REMEMBERED_SECONDS, Pace, Paces

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, BOB = ("fake", "ada"), ("fake", "bob")
MOST = 3

Moments = st.lists(st.integers(0, 400), max_size=60)
"""Seconds after the start; many fall into one minute."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def judge_all(paces: Paces, moments: list[int]) -> list[Pace]:
    return [paces.judge(ADA, ("dm", str(number)), at(moment), 0) for number, moment in enumerate(moments)]


def most_in_a_minute(moments: list[int]) -> int:
    return max((sum(first <= moment < first + 60 for moment in moments) for first in moments), default=0)


@given(Moments)
def test_no_minute_has_more_than_the_limit_in_whatever_order_messages_come(moments: list[int]) -> None:
    judged = judge_all(Paces(MOST), moments)
    admitted = [moment for moment, pace in zip(moments, judged, strict=True) if pace is Pace.ADMIT]

    assert most_in_a_minute(admitted) <= MOST


@given(Moments, st.randoms(use_true_random=False))
def test_who_stays_below_the_limit_is_never_held_up(moments: list[int], dice: random.Random) -> None:
    calm: list[int] = []
    for moment in moments:
        if most_in_a_minute([*calm, moment]) <= MOST:
            calm.append(moment)
    dice.shuffle(calm)

    assert set(judge_all(Paces(MOST), calm)) <= {Pace.ADMIT}


@given(Moments)
def test_a_message_that_was_admitted_comes_through_again_and_counts_once(moments: list[int]) -> None:
    once, twice = Paces(MOST), Paces(MOST)
    judged = judge_all(once, moments)
    again: list[Pace] = []
    for number, (moment, pace) in enumerate(zip(moments, judged, strict=True)):
        again.append(twice.judge(ADA, ("dm", str(number)), at(moment), 0))
        if pace is Pace.ADMIT:
            assert twice.judge(ADA, ("dm", str(number)), at(moment), 0) is Pace.ADMIT

    assert again == judged


def test_sixty_messages_of_twenty_hours_that_come_at_once_are_no_flood() -> None:
    paces = Paces(20)
    judged = [paces.judge(ADA, ("dm", str(number)), at(number * 1200), 0.0) for number in range(60)]

    assert judged == [Pace.ADMIT] * 60


def test_a_burst_is_admitted_up_to_the_limit_then_told_once_and_dropped() -> None:
    assert judge_all(Paces(MOST), [0, 1, 2, 3, 4, 59, 60, 61]) == [
        *[Pace.ADMIT] * 3,
        Pace.WARN,
        Pace.DROP,
        Pace.DROP,
        *[Pace.ADMIT] * 2,
    ]


def test_a_flood_that_does_not_end_is_told_once() -> None:
    judged = judge_all(Paces(MOST), list(range(600)))

    assert judged.count(Pace.WARN) == 1
    assert judged.count(Pace.ADMIT) == MOST * 10


def test_after_a_minute_without_a_drop_the_next_one_is_told() -> None:
    burst = [0] * 4

    assert judge_all(Paces(MOST), [*burst, *(moment + 59 for moment in burst)])[-1] is Pace.DROP
    assert judge_all(Paces(MOST), [*burst, *(moment + 60 for moment in burst)])[-1] is Pace.WARN


def test_a_warning_that_did_not_arrive_is_given_again() -> None:
    paces = Paces(1)
    judged = [paces.judge(ADA, ("dm", str(number)), START, 0) for number in range(2)]
    paces.unwarn(ADA)
    paces.unwarn(BOB)
    judged.append(paces.judge(ADA, ("dm", "2"), START, 0))

    assert judged == [Pace.ADMIT, Pace.WARN, Pace.WARN]


def test_people_and_chats_are_told_apart_by_their_ids() -> None:
    paces = Paces(1)
    judged = [
        paces.judge(ADA, ("dm", "1"), START, 0),
        paces.judge(BOB, ("dm", "1"), START, 0),
        paces.judge(("other", "ada"), ("dm", "1"), START, 0),
        paces.judge(ADA, ("group", "1"), START, 0),
    ]

    assert judged == [Pace.ADMIT, Pace.ADMIT, Pace.ADMIT, Pace.WARN]


def test_who_has_not_been_seen_for_long_is_forgotten_and_so_are_old_messages() -> None:
    paces = Paces(1)
    paces.judge(ADA, ("dm", "1"), START, 0)
    paces.judge(BOB, ("dm", "1"), START, 1)
    later = REMEMBERED_SECONDS + 0.5
    judged = paces.judge(BOB, ("dm", "1"), START, later)
    known = len(paces)
    paces.judge(ADA, ("dm", "1"), START, later + REMEMBERED_SECONDS + 1)

    assert judged is Pace.ADMIT
    assert (known, len(paces)) == (1, 1)


def test_a_message_that_is_offered_again_and_again_stays_known() -> None:
    paces = Paces(1)
    judged = [paces.judge(ADA, ("dm", "1"), START, 0), paces.judge(ADA, ("dm", "2"), at(90), 0)]
    judged.extend(paces.judge(ADA, ("dm", "1"), START, minute * 60) for minute in range(60))

    assert set(judged) == {Pace.ADMIT}
    assert paces.judge(ADA, ("dm", "3"), at(89), 3540) is Pace.ADMIT  # the second is forgotten by now


def test_a_limit_that_changes_counts_what_was_sent_before_it() -> None:
    paces = Paces(MOST)
    judge_all(paces, [0, 1])
    paces.change(2)

    assert paces.judge(ADA, ("dm", "more"), at(2), 0) is not Pace.ADMIT
    assert paces.judge(BOB, ("dm", "first"), at(2), 0) is Pace.ADMIT
