from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.admission.settings import LimitsSettings
from agentd.admission.spending import Spending, person_id

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA, BOB = person_id("telegram", "1"), person_id("slack", "U2")


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def spending(
    person: int = 0, everybody: int = 0, spent: dict[tuple[str, str], int] | None = None, clock: Clock | None = None
) -> Spending:
    limits = LimitsSettings(tokens_per_person_per_day=person, tokens_per_day=everybody)
    return Spending(limits, spent or {}, clock or Clock())


def test_without_limits_nothing_is_refused_and_all_is_counted() -> None:
    free = spending()
    free.spend(ADA, 10**9)

    assert free.refusal(ADA, 10**9) == ""
    assert free.take_changed() == {("2026-03-01", ADA): 10**9}


@pytest.mark.parametrize(("needed", "is_refused"), [(400, False), (401, True)])
def test_a_call_is_made_up_to_the_persons_limit_and_not_beyond(needed: int, is_refused: bool) -> None:
    limited = spending(person=1_000)
    limited.spend(ADA, 600)

    assert bool(limited.refusal(ADA, needed)) == is_refused
    assert limited.refusal(BOB, 1_000) == ""


@pytest.mark.parametrize(("needed", "is_refused"), [(400, False), (401, True)])
def test_the_accounts_of_a_person_have_one_limit(needed: int, is_refused: bool) -> None:
    settings = LimitsSettings(tokens_per_person_per_day=1_000)
    limited = Spending(settings, {}, Clock(), lambda person: {ADA, BOB} if person in (ADA, BOB) else {person})
    limited.spend(ADA, 500)
    limited.spend(BOB, 100)
    limited.spend("discord:3", 900)

    assert bool(limited.refusal(ADA, needed)) == bool(limited.refusal(BOB, needed)) == is_refused
    assert limited.refusal("discord:3", 100) == ""


@pytest.mark.parametrize(("needed", "is_refused"), [(400, False), (401, True)])
def test_what_one_person_spends_counts_for_all(needed: int, is_refused: bool) -> None:
    limited = spending(everybody=1_000)
    limited.spend(ADA, 500)
    limited.spend(BOB, 100)

    assert bool(limited.refusal("discord:3", needed)) == is_refused


@pytest.mark.parametrize(
    ("now", "wait"),
    [
        (NOON, "12 h 0 min"),
        (NOON.replace(hour=18, minute=47, second=30), "5 h 13 min"),
        (NOON.replace(hour=23, minute=59, second=59), "1 min"),
    ],
)
def test_a_refusal_says_when_it_is_possible_again(now: datetime, wait: str) -> None:
    limited = spending(person=1_000, clock=Clock(now))
    limited.spend(ADA, 1_000)

    assert limited.refusal(ADA, 1) == (
        "Your budget of tokens for today does not cover another answer: "
        f"please write again in {wait}, after midnight UTC."
    )


def test_the_wait_that_is_told_is_long_enough() -> None:
    clock = Clock(NOON.replace(minute=30))
    limited = spending(person=1_000, clock=clock)
    limited.spend(ADA, 1_000)
    told = limited.refusal(ADA, 1)
    clock.now += timedelta(hours=11, minutes=30)

    assert "in 11 h 30 min" in told
    assert limited.refusal(ADA, 1_000) == ""


def test_that_everybody_has_spent_it_is_said() -> None:
    limited = spending(person=1_000, everybody=1_000)
    limited.spend(BOB, 1_000)

    assert limited.refusal(ADA, 1).startswith("Everybody's budget of tokens for today")


def test_who_needs_more_than_a_day_allows_is_not_told_to_wait() -> None:
    assert spending(person=1_000).refusal(ADA, 1_001) == (
        "An answer here may take 1001 tokens, and a whole day allows 1000: "
        "please begin a new conversation with /new, or ask whoever runs me for a larger budget."
    )


def test_a_new_day_begins_at_midnight_utc() -> None:
    clock = Clock(NOON.replace(hour=23, minute=59, second=59))
    limited = spending(person=1_000, everybody=1_000, clock=clock)
    limited.spend(ADA, 1_000)
    clock.now += timedelta(seconds=1)
    refusal = limited.refusal(ADA, 1_000)
    limited.spend(ADA, 7)

    assert refusal == ""
    assert limited.take_changed() == {("2026-03-01", ADA): 1_000, ("2026-03-02", ADA): 7}


def test_what_earlier_runs_spent_today_counts_and_of_yesterday_does_not() -> None:
    limited = spending(person=1_000, spent={("2026-03-01", ADA): 900, ("2026-02-28", ADA): 5_000})

    assert limited.refusal(ADA, 100) == ""
    assert limited.refusal(ADA, 101) != ""
    assert limited.take_changed() == {}


def test_what_all_spent_in_earlier_runs_today_counts_against_everybodys_limit() -> None:
    spent = {("2026-03-01", ADA): 500, ("2026-03-01", BOB): 400, ("2026-02-28", ADA): 5_000}
    limited = spending(everybody=1_000, spent=spent)

    assert limited.refusal("discord:3", 100) == ""
    assert limited.refusal("discord:3", 101) != ""


def test_who_needs_all_that_a_day_allows_has_only_to_wait_for_the_next_one() -> None:
    limited = spending(person=1_000, clock=Clock(NOON.replace(second=30, microsecond=250_000)))
    limited.spend(ADA, 1)

    assert limited.refusal(ADA, 1_000).startswith("Your budget of tokens for today does not cover another answer")
    assert limited.wait_seconds(ADA, 1_000) == 12 * 3600 - 30.25


def test_a_clock_that_is_set_back_over_midnight_does_not_give_the_budget_again() -> None:
    clock = Clock(NOON.replace(hour=23, minute=59))
    limited = spending(person=1_000, clock=clock)
    limited.spend(ADA, 1_000)
    clock.now += timedelta(minutes=2)
    limited.spend(ADA, 1)
    clock.now -= timedelta(minutes=2)

    assert limited.refusal(ADA, 1) != ""


def test_only_totals_that_have_changed_are_handed_out_and_again_where_they_were_not_kept() -> None:
    limited = spending()
    limited.spend(ADA, 5)
    first = limited.take_changed()
    second = limited.take_changed()
    limited.put_back(first)
    limited.spend(ADA, 2)

    assert (first, second) == ({("2026-03-01", ADA): 5}, {})
    assert limited.take_changed() == {("2026-03-01", ADA): 7}


def test_what_was_not_kept_is_handed_out_again_beside_what_has_changed_since() -> None:
    limited = spending(spent={("2026-02-28", ADA): 9})
    limited.spend(ADA, 5)
    failed = limited.take_changed()
    limited.spend(BOB, 3)
    limited.put_back(failed)

    assert limited.take_changed() == {("2026-03-01", ADA): 5, ("2026-03-01", BOB): 3}


def test_of_a_person_who_is_forgotten_while_a_save_fails_nothing_is_handed_out_again() -> None:
    limited = spending()
    limited.spend(ADA, 5)
    limited.spend(BOB, 3)
    failed = limited.take_changed()
    limited.forget([ADA])
    limited.put_back(failed)

    assert limited.take_changed() == {("2026-03-01", BOB): 3}


@pytest.mark.parametrize("tokens", [0, -5])
def test_a_provider_that_reports_no_usage_costs_nothing(tokens: int) -> None:
    limited = spending(person=10)
    limited.spend(ADA, tokens)

    assert limited.take_changed() == {}
    assert limited.refusal(ADA, 10) == ""


def test_days_that_are_over_do_not_pile_up() -> None:
    clock = Clock()
    limited = spending(clock=clock)
    for _ in range(50):
        limited.spend(ADA, 1)
        limited.take_changed()
        clock.now += timedelta(days=1)

    assert len(limited) == 2


def test_a_day_that_is_over_is_remembered_until_it_is_kept() -> None:
    clock = Clock()
    limited = spending(clock=clock)
    for _ in range(4):
        limited.spend(ADA, 1)
        clock.now += timedelta(days=1)

    assert [day for day, _ in limited.take_changed()] == ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]


@given(st.lists(st.tuples(st.sampled_from([ADA, BOB]), st.integers(0, 400)), max_size=30), st.integers(1, 1_000))
def test_whoever_asks_before_each_call_never_exceeds_a_limit(calls: list[tuple[str, int]], limit: int) -> None:
    limited = spending(person=limit, everybody=limit + limit // 2)
    for person, tokens in calls:
        if not limited.refusal(person, tokens):
            limited.spend(person, tokens)
    totals = limited.take_changed()

    assert all(total <= limit for total in totals.values())
    assert sum(totals.values()) <= limit + limit // 2


def test_a_call_waits_for_the_next_day_where_this_one_has_no_budget_left_and_for_ever_where_no_day_has() -> None:
    limited = spending(person=1_000, everybody=5_000)
    limited.spend(ADA, 600)

    assert limited.wait_seconds(ADA, 400) == 0
    assert limited.wait_seconds(ADA, 401) == 12 * 3600
    assert limited.wait_seconds(ADA, 1_001) == math.inf
    assert limited.wait_seconds(BOB, 1_000) == 0


def test_what_a_person_who_is_forgotten_spent_counts_for_nobody_and_is_not_kept() -> None:
    both = spending(everybody=1000)
    both.spend(ADA, 600)
    both.spend(BOB, 300)
    both.forget([ADA])

    assert both.take_changed() == {("2026-03-01", BOB): 300}
    assert both.refusal(BOB, 700) == ""
    assert both.refusal(BOB, 701) != ""
