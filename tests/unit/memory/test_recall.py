"""These tests check the second stage of recall: what is ranked above what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.model import Kind, Recalled, Reserve
from memory.recall import MEANING_SHARE, NEIGHBOURS, WORDS_SHARE, Candidate, Likeness, Told, choose, fuse, index, rank

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
    assert order("When was it?", found(1, text="green lamp"), found(2, text="lamp yesterday")) == [2, 1]


def test_of_nothing_nothing_is_ranked() -> None:
    assert order("lamp") == []


def test_an_occasion_of_which_much_was_found_goes_before() -> None:
    together = [replace(found(number), session="party") for number in (2, 3, 4)]

    assert order("lamp", found(1), *together) == [2, 3, 4, 1]


def test_words_count_more_than_meaning_and_both_more_than_one() -> None:
    fused = fuse({1: 4.0, 2: 2.0}, Likeness({2: 0.8, 3: 0.8, 1: 0.2}, least=0.2))

    assert fused[2] > fused[1] > fused[3] > 0
    assert fuse({}, Likeness({1: 0.2, 2: 0.35, 3: 0.8, 4: 0.45}, least=0.1)) == pytest.approx(
        {1: 0.0, 2: 0.0, 3: MEANING_SHARE, 4: MEANING_SHARE / 6}
    )
    assert fuse({1: 4.0}, Likeness({2: 0.8}, least=0.2)) == pytest.approx({1: WORDS_SHARE, 2: MEANING_SHARE})
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


MIA = replace(found(2), author="Mia")
TIMELY = replace(found(2), text=LONG + " yesterday")
ASKS = replace(found(2), text=LONG + "?")


@pytest.mark.parametrize(
    ("question", "entry", "worth"),
    [
        ("What did Mia's lamp cost?", MIA, 1.6),
        ("When was the lamp there?", TIMELY, 1.1),
        ("When was Mia's lamp there?", replace(TIMELY, author="Mia"), 1.6 * 1.1),
        ("lamp", ASKS, 0.9),
        ("Mia's lamp", replace(ASKS, author="Mia"), 1.6 * 0.9),
        ("lamp", replace(found(2), text="green lamp"), (2 / 12) ** 0.2),
        ("lamp", replace(found(2), importance=1.0), 1.2 / 1.1),
        ("lamp", replace(found(2), importance=0.0), 1.0 / 1.1),
        ("lamp", replace(found(2), happened=NOW - timedelta(days=90)), 1.025 / 1.05),
        ("lamp", replace(found(2), happened=NOW - timedelta(hours=12)), (1 + 0.05 * 2 ** (-0.5 / 90)) / 1.05),
        ("lamp", replace(found(2), happened=NOW + timedelta(days=90)), 1.0),
    ],
)
def test_what_each_quality_is_worth(question: str, entry: Candidate, worth: float) -> None:
    """So many times the score of an entry without it must another one have to stand above."""
    for best in (1.0, 40.0):
        assert order(question, found(1, best * worth * 0.9999), replace(entry, score=best)) == [2, 1]
        assert order(question, found(1, best * worth * 1.0001), replace(entry, score=best)) == [1, 2]


def test_what_an_occasion_is_worth() -> None:
    """Where three entries of one say nearly as much each, they pass one that says more and stands alone."""
    party = [replace(found(number), session="party") for number in (2, 3, 4)]

    for best in (1.0, 40.0):
        alone = found(1, best)
        assert order("lamp", alone, *(replace(entry, score=0.83 * best) for entry in party)) == [2, 3, 4, 1]
        assert order("lamp", alone, *(replace(entry, score=0.8 * best) for entry in party)) == [1, 2, 3, 4]


def test_of_a_long_occasion_the_best_five_count() -> None:
    evening = [replace(found(number, 0.5), session="evening") for number in range(10, 15)]
    week = [replace(found(number, 0.5), session="week") for number in range(20, 29)]
    best = replace(found(29, 0.6), session="week")

    assert order("lamp", *evening, *week, best)[:2] == [29, 20]
    assert order("lamp", *evening, *week) == [*range(10, 15), *range(20, 29)]


def test_the_same_words_are_recalled_once_and_what_follows_them_still_is() -> None:
    entries = [found(1, text="the green lamp"), found(2, text="The green lamps!"), replace(found(3), kind=Kind.CORE)]

    assert choose(entries, Reserve()) == (
        Recalled(1, Kind.DAILY, "the green lamp", NOW, 1.0),
        Recalled(3, Kind.CORE, LONG, NOW, 1 / 3),
    )


@pytest.mark.parametrize(
    ("most", "cut"),
    [
        (12, "a green lamp"),
        (11, "a green…"),
        (9, "a green…"),
        (8, "a green…"),
        (7, "a gree…"),
        (4, "a g…"),
        (1, "…"),
    ],
)
def test_an_entry_is_cut_at_a_blank_where_one_is_near(most: int, cut: str) -> None:
    assert choose([found(1, text="a green lamp")], Reserve(1, most, 4000))[0].text == cut


def test_the_last_character_of_the_room_is_used() -> None:
    texts = [entry.text for entry in choose([found(1, text="lamp"), found(2, text="bread")], Reserve(4, 800, 5))]

    assert texts == ["lamp", "…"]


def test_only_the_question_right_before_is_one_that_an_entry_answers() -> None:
    bread, cello = Told("Mia", "bread", NOW), Told("Mia", "a cello?", NOW)

    assert index(bread, [bread, cello], []).asked == ""
    assert index(bread, [bread, cello], []).around == "mia bread mia cello"
