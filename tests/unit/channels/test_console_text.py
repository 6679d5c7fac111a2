"""These tests check the text that passes between a terminal and the daemon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from channels.console.text import clean_input, decode_line, printable
from channels.console.wrap import WordWrap


@given(st.binary())
def test_any_bytes_become_text_that_can_be_written(line: bytes) -> None:
    text = decode_line(line)

    assert "\0" not in text
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.text(alphabet=st.characters(categories=["Cs", "Lu", "So", "Cc"])))
def test_cleaning_keeps_every_character_that_can_be_kept(text: str) -> None:
    cleaned = clean_input(text)

    assert len(cleaned) == len(text)
    assert all(new == old or new == "\ufffd" for new, old in zip(cleaned, text, strict=True))


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;title\x07x", "]0;titlex"),
        ("a\x9b31mb", "a31mb"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("שלום", "שלום"),
    ],
)
def test_a_terminal_is_never_given_a_models_control_characters(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


def wrapped(text: str, columns: int, step: int) -> str:
    wrap = WordWrap(columns)
    return "".join(wrap.feed(text[start : start + step]) for start in range(0, len(text), step)) + wrap.flush()


@given(st.text(alphabet="ab  \n漢", max_size=200), st.integers(1, 7))
def test_wrapping_changes_spaces_and_line_ends_only_however_the_text_is_cut(text: str, step: int) -> None:
    shown = wrapped(text, 20, step)

    assert shown.split() == text.split() or "".join(shown.split()) == "".join(text.split())
    assert shown == wrapped(text, 20, 200)


@given(st.lists(st.text(alphabet="abc漢", min_size=1, max_size=12), max_size=40))
def test_no_line_is_wider_than_the_terminal(words: list[str]) -> None:
    lines = wrapped(" ".join(words), 24, 3).split("\n")

    assert max(map(wcswidth, lines)) <= 24


def test_text_that_fits_is_left_as_it_is() -> None:
    code = "def f(x):\n    return x  # two spaces\n\ndone"

    assert wrapped(code, 80, 1) == code


def test_a_word_is_shown_no_later_than_its_end() -> None:
    wrap = WordWrap(80)

    assert wrap.feed("Hello wor") == "Hello"
    assert wrap.feed("ld ") == " world"


def test_chinese_is_shown_at_once() -> None:
    assert WordWrap(80).feed("你好") == "你好"
