from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.context.tokens import estimate_tokens, may_fit
from tests.unit.agentd.transcript.building import CALM

ENGLISH = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep until the next morning."
GERMAN = "Die Zugverbindung zwischen München und Köln fällt heute wegen eines Unwetters leider vollständig aus."
CHINESE = "今天下午三点我们在会议室讨论新产品的发布计划，请大家准时参加。"
JAPANESE = "明日の朝までにこの書類を確認して、問題があれば私に連絡してください。"
KOREAN = "내일 오후에 회의가 있으니 자료를 미리 준비해 주시면 감사하겠습니다."
ARABIC = "سوف نجتمع غدا في الساعة العاشرة صباحا لمناقشة خطة المشروع الجديد."
RUSSIAN = "Завтра утром мы поедем на дачу и вернёмся только в воскресенье вечером."
EMOJI = "🎉🎂😀🚀🌍🔥💡🎵"
CODE = 'def add(left: int, right: int) -> int:\n    """Return the sum."""\n    return left + right\n'
SENTENCES = [ENGLISH, GERMAN, CHINESE, JAPANESE, KOREAN, ARABIC, RUSSIAN, EMOJI, CODE]

texts = st.text() | st.text("ab \n9") | st.sampled_from(SENTENCES)


def test_an_empty_text_costs_nothing() -> None:
    assert estimate_tokens("") == 0


@pytest.mark.parametrize(
    ("text", "estimate", "counted"),
    [
        (ENGLISH, 24, 22),
        (GERMAN, 23, 19),
        (CHINESE, 23, 20),
        (JAPANESE, 23, 22),
        (KOREAN, 24, 21),
        (ARABIC, 22, 20),
        (RUSSIAN, 21, 22),
        (EMOJI, 16, 14),
        (CODE, 26, 25),
    ],
)
def test_an_estimate_is_near_what_a_vocabulary_counts(text: str, estimate: int, counted: int) -> None:
    """`counted` is by o200k_base."""
    assert estimate_tokens(text) == estimate
    assert 0.75 * counted <= estimate <= 1.25 * counted


@pytest.mark.parametrize("text", [CHINESE, JAPANESE, KOREAN, EMOJI])
def test_where_a_character_is_a_token_the_rule_of_four_is_not_kept(text: str) -> None:
    """The usual ceil(characters / 4) is 2 to 4 times too low here: a budget would overflow."""
    assert estimate_tokens(text) > 2 * len(text) / 4


@CALM
@given(texts, texts)
def test_a_whole_costs_no_more_than_its_parts_and_no_less_than_one_of_them(one: str, other: str) -> None:
    whole = estimate_tokens(one + other)

    assert whole <= estimate_tokens(one) + estimate_tokens(other) + 1
    assert whole >= max(estimate_tokens(one), estimate_tokens(other))


@CALM
@given(texts.filter(bool), st.integers(1, 20))
def test_a_repeated_text_costs_about_as_often(text: str, times: int) -> None:
    assert estimate_tokens(text * times) <= times * estimate_tokens(text) + 1
    assert estimate_tokens(text * times) >= 1


@CALM
@given(st.characters())
def test_every_character_there_is_has_a_cost_within_bounds(character: str) -> None:
    assert 0 <= estimate_tokens(character * 1000) <= 2000
    assert estimate_tokens(character) >= 1


def test_endless_spaces_do_not_pass_for_an_empty_text() -> None:
    assert estimate_tokens(" " * 1200) == 100


@CALM
@given(texts, st.integers(0, 30))
def test_a_text_that_costs_so_little_may_fit(text: str, budget_tokens: int) -> None:
    assert may_fit(text, budget_tokens) or estimate_tokens(text) > budget_tokens
