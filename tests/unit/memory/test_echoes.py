"""These tests check that sentences pasted from the assistant's answers are not taken for the person's."""

from __future__ import annotations

import pytest

from memory.echoes import without_echoes

ANSWER = "As I recall, **you collect yachts**. Shall I look for one in Porto?\nYour cat is called Tom."


@pytest.mark.parametrize(
    "text",
    [
        "As I recall, you collect yachts.",
        "as i recall, you  collect yachts.\nYour cat is called Tom.",
        "“Your cat is called Tom.”",
        "_Shall I look for one in Porto?_",
    ],
)
def test_sentences_of_an_answer_are_left_out(text: str) -> None:
    assert without_echoes(text, [ANSWER], []).strip(" \n“”_") == ""


def test_what_stands_around_them_stays() -> None:
    text = "Your cat is called Tom. No, my cat is called Tim! As I recall, you collect yachts. Why?"

    assert without_echoes(text, [ANSWER], []) == "No, my cat is called Tim!\nWhy?"


@pytest.mark.parametrize(
    "text", ["I live in Graz.\n\n- and in Porto", "Your cat.", "Oh well.", "", "You collect castles, not I."]
)
def test_what_no_answer_has_or_is_short_stays_as_it_is(text: str) -> None:
    assert without_echoes(text, [ANSWER, "Oh well. Yes."], []) == text


def test_what_its_author_said_before_stays_although_an_answer_repeats_it() -> None:
    text = "My cat is called Tom.  He is old.\n\nWhy?"

    assert without_echoes(text, ["You said: My cat is called Tom."], ["Well, my cat is called Tom. And yours?"]) == text
    assert without_echoes(text, ["You said: My cat is called Tom."], ["My dog is called Tom."]) == "He is old.\nWhy?"
