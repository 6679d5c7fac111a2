from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.context.calibration import (
    HIGHEST,
    LOWEST,
    MOST_CHANGE,
    START,
    Calibration,
    ModelFactor,
    move,
)
from tests.unit.agentd.transcript.building import CALM

FACTORS = st.floats(LOWEST, HIGHEST)


def learnt(*ratios: float) -> tuple[Calibration, float]:
    """Return what is learnt of a model, and in one conversation, from prompts of 1,000 estimated tokens."""
    calibration = Calibration({})
    factor = calibration.first_factor("m")
    for ratio in ratios:
        factor = calibration.learn("m", 1_000, round(1_000 * ratio), factor)
    return calibration, factor


def test_a_model_that_has_reported_nothing_is_taken_for_dearer_than_estimated() -> None:
    assert Calibration({}).factor("m") == START
    assert Calibration({}).first_factor("m") == START


@pytest.mark.parametrize("ratio", [0.75, 1.0, 1.1, 1.5, 2.5, 4.2])
def test_ten_turns_that_agree_are_believed_within_a_twentieth(ratio: float) -> None:
    calibration, factor = learnt(*[ratio] * 10)

    assert calibration.factor("m") == pytest.approx(ratio, rel=0.05)
    assert factor == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize(
    ("estimated", "reported"), [(1_000, 0), (1_000, -5), (0, 1_000), (0, 0), (-3, 3), (1_000, 40), (1_000, 9_000)]
)
def test_a_report_that_is_no_count_of_the_prompt_teaches_nothing(estimated: int, reported: int) -> None:
    """None at all, only what was not cached, images beside the text."""
    calibration, factor = learnt(1.5, 1.5)
    before, _ = calibration.factor("m"), calibration.take_changed()
    after = calibration.learn("m", estimated, reported, factor)

    assert (calibration.factor("m"), after) == (before, factor)
    assert calibration.take_changed() == {}


@CALM
@given(FACTORS, st.floats(0, 100))
def test_a_factor_goes_towards_the_report_and_stays_within_bounds(factor: float, ratio: float) -> None:
    moved = move(factor, ratio)

    assert LOWEST <= moved <= HIGHEST or math.isclose(moved, LOWEST) or math.isclose(moved, HIGHEST)
    assert min(factor, ratio) - 1e-9 <= moved or moved >= LOWEST - 1e-9
    assert moved >= factor - 1e-9 if ratio >= factor else moved <= factor + 1e-9


@CALM
@given(FACTORS, st.floats(0, 100))
def test_one_wrong_report_does_not_carry_a_factor_far(factor: float, ratio: float) -> None:
    assert factor / MOST_CHANGE <= move(factor, ratio) <= factor * MOST_CHANGE


@pytest.mark.parametrize(("factor", "ratio", "believed"), [(4.0, 0.8, 2.0), (2.0, 5.0, 4.0)])
def test_a_report_is_believed_to_half_and_to_twice_what_was_expected(
    factor: float, ratio: float, believed: float
) -> None:
    assert move(factor, ratio) == move(factor, believed)


def test_a_factor_rises_faster_than_it_falls() -> None:
    """Too low a factor lets a budget overflow, too high a one only wastes room."""
    assert move(1.0, 1.2) - 1.0 > 2 * (1.2 - move(1.2, 1.0))


def test_conversations_in_two_languages_do_not_disturb_each_other() -> None:
    calibration = Calibration({})
    english = thai = calibration.first_factor("m")
    for _ in range(10):
        english = calibration.learn("m", 1_000, 1_000, english)
        thai = calibration.learn("m", 1_000, 4_000, thai)

    assert english == pytest.approx(1.0, rel=0.05)
    assert thai == pytest.approx(4.0, rel=0.05)
    assert calibration.factor("m") > 2.5


@pytest.mark.parametrize(("ratio", "begins"), [(0.75, START), (2.0, 2.0)])
def test_a_new_conversation_begins_with_what_the_model_counted_and_no_less_than_at_first(
    ratio: float, begins: float
) -> None:
    """What was learnt in a cheap language says nothing of the next conversation's."""
    calibration, factor = learnt(*[ratio] * 12)

    assert calibration.first_factor("m") == pytest.approx(begins, rel=0.02)
    assert factor == pytest.approx(ratio, rel=0.05)


def test_what_was_learnt_goes_into_a_later_run() -> None:
    changed = learnt(1.5, 1.5, 1.5)[0].take_changed()

    assert changed["m"].reports == 3
    assert Calibration(changed).factor("m") == changed["m"].factor > 1.4
    assert Calibration(changed).take_changed() == {}


@pytest.mark.parametrize("factor", [LOWEST, HIGHEST])
def test_a_factor_as_far_as_it_goes_is_known_to_a_later_run(factor: float) -> None:
    assert Calibration({"m": ModelFactor(factor, 7)}).factor("m") == factor


def test_only_what_has_changed_is_handed_out_and_again_where_it_was_not_kept() -> None:
    calibration, _ = learnt(1.5)
    first = calibration.take_changed()
    second = calibration.take_changed()
    calibration.put_back(first)

    assert second == {}
    assert calibration.take_changed() == first


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.1, 1e9, math.inf, math.nan])
def test_what_makes_no_sense_of_an_earlier_run_is_left_out(factor: float) -> None:
    assert Calibration({"m": ModelFactor(factor, 7)}).factor("m") == START


def test_each_report_is_shown_by_what_was_expected_of_it() -> None:
    shown: list[tuple[str, float]] = []
    calibration = Calibration({}, lambda model, ratio: shown.append((model, ratio)))
    calibration.learn("m", 1_000, 2_200, START)
    calibration.learn("m", 1_000, 0, START)

    assert [model for model, _ in shown] == ["m"]
    assert shown[0][1] == pytest.approx(2.0)
