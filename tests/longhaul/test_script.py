"""These tests check the generated year: reproducible, of every kind, with facts that a summary can keep."""

from __future__ import annotations

import pytest

from tests.longhaul.facts import find_facts, plant_fact
from tests.longhaul.script import UNDO, YEAR_SECONDS, Step, write_script
from tests.longhaul.summariser import LONG_WINDED, summarise

CONTEXT_TOKENS = 4_000


def count(text: str) -> int:
    return len(text) // 3


def script(seed: int, turns: int = 300) -> list[Step]:
    return list(write_script(seed, turns, CONTEXT_TOKENS, count))


def test_a_script_is_the_same_from_the_same_number_and_another_from_another() -> None:
    assert script(1) == script(1)
    assert script(1) != script(2)


def test_even_a_short_script_has_messages_of_every_kind() -> None:
    steps = script(3)
    texts = [text for step in steps for text in step.texts]
    lengths = [len(text) for text in texts]

    assert len(steps) == 300
    assert max(map(count, texts)) > CONTEXT_TOKENS
    assert sum(length < 10 for length in lengths) > 20
    assert sum(1_500 < length < 10_000 for length in lengths) > 5
    assert sum(len(step.texts) > 1 for step in steps) > 0
    assert sum(step.texts == (UNDO,) for step in steps) == 1
    assert sum(step.fact is not None for step in steps) > 10
    for sign in ("die ", "the ", "我", "👍", "return {"):
        assert sum(sign in text for text in texts) > 3, sign


def test_a_script_fills_a_year_with_talk_and_pauses() -> None:
    pauses = [step.think_seconds for step in script(4, 2_000)]

    assert sum(pauses) == pytest.approx(YEAR_SECONDS, rel=0.2)
    assert sum(seconds < 100 for seconds in pauses) > 1_500


def test_a_fact_can_be_found_again_however_it_was_told() -> None:
    for number in range(12):
        fact, told = plant_fact(number)
        assert find_facts(f"Well. {told} And {told}") == [fact]


def test_a_summary_keeps_facts_of_the_record_and_of_what_was_said_and_is_the_same_each_time() -> None:
    facts = [plant_fact(number)[0] for number in range(5)]
    material = f"Record: {facts[0]}, {facts[1]}\nSaid: {facts[2]}\n{facts[3]}, {facts[0]}, {facts[4]}"

    summary = summarise("Be brief.", material)
    assert summary == summarise("Be brief.", material)
    assert sorted(find_facts(summary)) == sorted(facts)


def test_a_summary_heeds_the_length_and_drops_the_oldest_facts_first() -> None:
    material = "\n".join(plant_fact(number)[1] for number in range(80))
    summary = summarise("At most 500 characters.", material)
    kept = find_facts(summary)

    assert 450 < len(summary) <= 500
    assert kept == [plant_fact(number)[0] for number in range(80 - len(kept), 80)]


def test_some_summaries_of_much_material_do_not_heed_the_length() -> None:
    lengths = [len(summarise("At most 500 characters.", f"{number}" + "x" * 8_000)) for number in range(40)]

    assert 0 < sum(length > LONG_WINDED for length in lengths) < 25
