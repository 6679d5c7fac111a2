"""The second stage: what is ranked above what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.model import Kind, Reserve
from memory.recall import MEANING_SHARE, NEIGHBOURS, Candidate, Likeness, Told, choose, fuse, index, rank

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG = "the green lamp stood near the window of the old kitchen beside bread, butter, cheese, apples and wine"


def found(number: int, score: float = 1.0, text: str = LONG, author: str = "Ben") -> Candidate:
    return Candidate(number, score, Kind.DAILY, author, f"s{number}", NOW, text, 0.5)


def order(question: str, *candidates: Candidate) -> list[int]:
    return [candidate.id for candidate in rank(question, candidates, NOW)]


def test_equals_stand_in_the_order_in_which_they_were_written() -> None:
    assert order("lamp", found(3), found(1), found(2)) == [1, 2, 3]


def test_an_entry_whose_author_is_named_goes_before() -> None:
    assert order("What did Mia's lamp cost?", found(1), found(2, author="Mia")) == [2, 1]


def test_what_is_important_or_new_decides_between_equals_alone() -> None:
    old = replace(found(1), happened=NOW - timedelta(days=900))

    assert order("lamp", old, found(2)) == [2, 1]
    assert order("lamp", found(1), replace(found(2), importance=1.0)) == [2, 1]
    assert order("lamp", replace(old, score=2.0), replace(found(2), importance=1.0)) == [1, 2]


def test_a_question_and_an_entry_of_few_words_answer_little() -> None:
    assert order("lamp", found(1, text=LONG + "?"), found(2)) == [2, 1]
    assert order("lamp", found(1, text="the lamp"), found(2)) == [2, 1]


def test_a_question_for_a_time_wants_one() -> None:
    timely = found(2, text=LONG + " yesterday")

    assert order("When was the lamp there?", found(1), timely) == [2, 1]
    assert order("Where was the lamp?", found(1), timely) == [1, 2]


def test_an_occasion_of_which_much_was_found_goes_before() -> None:
    together = [replace(found(number), session="party") for number in (2, 3, 4)]

    assert order("lamp", found(1), *together) == [2, 3, 4, 1]


def test_words_count_more_than_meaning_and_both_more_than_one() -> None:
    fused = fuse({1: 4.0, 2: 2.0}, Likeness({2: 0.8, 3: 0.8, 1: 0.2}, least=0.2))

    assert fused[2] > fused[1] > fused[3] > 0
    assert fuse({}, Likeness({1: 0.2, 2: 0.35, 3: 0.8}, least=0.1)) == pytest.approx({1: 0.0, 2: 0.0, 3: MEANING_SHARE})
    assert fuse({1: 4.0, 2: 2.0}) == {1: 1.0, 2: 0.5}
    assert fuse({}, Likeness({}, 0.0)) == {}


def test_an_answer_is_indexed_with_its_question_and_its_neighbours() -> None:
    told = [Told("Mia", text, NOW) for text in ("a cello?", "a lamp", "bread", "wine")]

    indexed = index(told[1], told[:1], told[2:])

    assert indexed.body.endswith("mia lamp")
    assert indexed.asked == "mia cello"
    assert indexed.around == "mia bread mia wine"
    assert index(told[3], [told[2], told[1], told[0]], []).around.count("mia") == NEIGHBOURS


@given(
    texts=st.lists(st.text(max_size=60), max_size=12),
    entries=st.integers(0, 6),
    entry_chars=st.integers(1, 40),
    total_chars=st.integers(1, 90),
)
def test_what_is_chosen_keeps_to_every_limit(
    texts: list[str], entries: int, entry_chars: int, total_chars: int
) -> None:
    candidates = [found(number, text=text) for number, text in enumerate(texts)]

    chosen = choose(candidates, Reserve(entries, entry_chars, total_chars))

    assert len(chosen) <= entries
    assert all(len(recalled.text) <= entry_chars for recalled in chosen)
    assert sum(len(recalled.text) for recalled in chosen) <= total_chars
