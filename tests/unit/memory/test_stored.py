"""These tests check what a database can store, and what comes back from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from memory.model import Evidence, Exchange, Fact, Words
from memory.stored import moment, stamp, storable, storable_exchange, storable_fact

NASTY, PLAIN = "a\0b\ud800", "a\\x00b\\ud800"


def test_a_time_is_kept_to_the_millisecond_in_whatever_zone_it_was_told() -> None:
    berlin = timezone(timedelta(hours=1))
    time = datetime(2026, 1, 1, 13, 0, 0, 123_999, tzinfo=berlin)

    assert stamp(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1000
    assert moment(stamp(time)) == datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)


def test_what_no_database_takes_is_spelt_out_and_all_else_stays() -> None:
    assert storable(NASTY) == PLAIN
    assert storable("Grüße 🎉\n") == "Grüße 🎉\n"


def test_all_of_an_exchange_that_is_kept_or_compared_is_storable() -> None:
    words = Words(1, datetime(2026, 1, 1, tzinfo=UTC), NASTY)
    exchange = storable_exchange(Exchange(NASTY, 1, 2, NASTY, NASTY, direct=True, said=(words,), trace="t"))

    kept = Words(1, words.at, PLAIN)

    assert exchange == Exchange(PLAIN, 1, 2, PLAIN, PLAIN, direct=True, said=(kept,), trace="t")


def test_all_of_a_fact_is_storable() -> None:
    fact = storable_fact(Fact(NASTY, (Evidence(NASTY, 3, NASTY),), NASTY, 0.7))

    assert fact == Fact(PLAIN, (Evidence(PLAIN, 3, PLAIN),), PLAIN, 0.7)
