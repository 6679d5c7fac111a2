"""These tests check token estimates against real vocabularies, over the texts of `benchmarks/texts`."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

import pytest

from agentd.context.calibration import SAFETY
from benchmarks.measuring.estimates import measure
from benchmarks.measuring.texts import LANGUAGES, load_groups
from benchmarks.measuring.turns import LEARNT_TURNS, changes, errors_after_learning
from benchmarks.measuring.vocabularies import CURRENT, Count, load_vocabularies

GROUPS = load_groups()


@pytest.fixture(scope="session")
def vocabularies() -> Mapping[str, Count]:
    return load_vocabularies()


def test_there_are_texts_of_many_kinds_with_turns_enough_to_learn_from() -> None:
    assert len(GROUPS) >= 40
    assert set(LANGUAGES) < GROUPS.keys()
    assert {len(messages) for messages in GROUPS.values()} == {LEARNT_TURNS + 4}


def test_the_mean_bias_is_small_and_no_kind_of_text_is_far_off(vocabularies: Mapping[str, Count]) -> None:
    """Four characters a token, the yardstick, are off by more than a quarter, and by four fifths at worst."""
    measured = measure(GROUPS, {name: vocabularies[name] for name in CURRENT})
    ours, by_four = zip(*(map(abs, group.errors(*CURRENT)) for group in measured), strict=True)

    assert mean(by_four) > 0.25
    assert max(by_four) > 0.8
    assert mean(ours) <= 0.08
    assert max(ours) <= 0.4


def test_after_ten_turns_a_conversation_in_any_language_costs_what_is_expected(
    vocabularies: Mapping[str, Count],
) -> None:
    """By any vocabulary, the old ones too, whose counts are up to four times the estimate."""
    errors = {
        (language, name): max(map(abs, errors_after_learning(GROUPS[language], count)))
        for language in LANGUAGES
        for name, count in vocabularies.items()
    }

    assert {where: error for where, error in errors.items() if error > 0.05} == {}


def test_where_a_conversation_changes_its_language_no_prompt_exceeds_the_margin(
    vocabularies: Mapping[str, Count],
) -> None:
    found = [change for name in CURRENT for change in changes(GROUPS, vocabularies[name])]

    assert len(found) == len(CURRENT) * len(GROUPS) * (len(GROUPS) - 1)
    assert [change for change in found if change[2] > SAFETY] == []
