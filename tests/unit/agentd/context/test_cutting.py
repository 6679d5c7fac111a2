"""These tests check where a text that is too long may be cut, to the character."""

from __future__ import annotations

import pytest

from agentd.context.cutting import boundary, cut_to_fit
from agentd.context.tokens import estimate_tokens

FLAGS = "🇩🇪🇫🇷"


def test_a_text_of_nothing_but_marks_on_one_letter_is_cut_all_the_same() -> None:
    """No letter has as many; a text that does is no reason to look through all of it."""
    text = "a" + "\u0301" * 200

    assert boundary(text, 100, -1) == 68


@pytest.mark.parametrize(
    ("text", "index", "before", "after"),
    [
        ("e\u0301a", 1, 0, 2),
        ("ab👍🏻c", 3, 2, 4),  # the lightest skin tone, the first of its range
        ("a\u200cb", 1, 0, 2),  # the joiner that keeps two letters apart
        ("a\u1112\u1160b", 2, 1, 3),  # the first of the Korean vowels
        (FLAGS, 1, 0, 2),
        (FLAGS, 2, 2, 2),
        (f"a{FLAGS}", 2, 1, 3),
        (f"a{FLAGS}", 1, 1, 1),
        ("🇩ab", 1, 1, 1),  # half a flag alone is none
        (f"{FLAGS}🇩a", 5, 5, 5),
    ],
)
def test_a_cut_moves_to_where_a_character_begins(text: str, index: int, before: int, after: int) -> None:
    assert boundary(text, index, -1) == before
    assert boundary(text, index, 1) == after


@pytest.mark.parametrize("text", ["\u0301abc", "abc\u200d", "\U0001f3fdabc\u200d"])
def test_the_start_and_the_end_of_a_text_are_places_to_cut_whatever_stands_there(text: str) -> None:
    assert boundary(text, 0, -1) == 0
    assert boundary(text, len(text), 1) == len(text)


@pytest.mark.parametrize("text", ["word " * 500, "好" * 300, "🎉" * 300])
def test_a_text_that_costs_just_what_there_is_stays_whole(text: str) -> None:
    cost = estimate_tokens(text)

    assert cut_to_fit(text, cost) == text
    assert "characters left out" in cut_to_fit(text, cost - 1)


@pytest.mark.parametrize("budget_tokens", [-10, 0, 5])
def test_where_there_is_room_for_nothing_else_only_the_note_stands(budget_tokens: int) -> None:
    assert cut_to_fit("word " * 500, budget_tokens) == (
        "\n[... 2500 characters left out: the text is longer than fits here ...]\n"
    )
