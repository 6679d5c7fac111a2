"""These tests check the pieces of a cut text: each fits, none is empty, and together they are the text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.markup.characters import is_blank
from channels.markup.cutting import cut_piece
from channels.markup.rich import PLAIN, Dialect, RichText, plain, utf16_units


def pieces_of(text: str, most_units: int) -> list[str]:
    dialect = Dialect(plain, utf16_units, most_units)
    pieces, rest = [], plain(text)
    while rest.text:
        piece, rest = cut_piece(rest, dialect)
        pieces.append(piece.text)
    return pieces


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("short", ["short"]),
        ("0123456789", ["0123456789"]),
        ("one two three four", ["one two", "three four"]),
        ("a b c\n\nd e f", ["a b c", "d e f"]),
        ("abc def\nghi", ["abc def", "ghi"]),
        ("abcdefghijklmn", ["abcdefghij", "klmn"]),
        ("x\n\nabcdefghi jk", ["x\n\nabcdefg", "hi jk"]),
        ("abcd efghijklmn", ["abcd efghi", "jklmn"]),
        ("天地玄黄宇宙洪荒日月盈昃", ["天地玄黄宇宙洪荒日月", "盈昃"]),
        ("😀😀😀😀😀😀", ["😀😀😀😀😀", "😀"]),
        ("123456789😀", ["123456789", "😀"]),
        ("0123456789 abc", ["0123456789", "abc"]),
        ("  one\n \n  two three ", ["one", "two three"]),
        ("e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", ["e\u0301" * 5, "e\u0301"]),
        ("12345678👍🏽", ["12345678", "👍🏽"]),
        ("1234567👨‍👩‍👧", ["1234567", "👨‍👩‍👧"]),
        ("12🇩🇪🇫🇷🇮🇹", ["12🇩🇪🇫🇷", "🇮🇹"]),
        ("123456789❤️", ["123456789", "❤️"]),
        ("a" + "\u0301" * 14, ["a" + "\u0301" * 9, "\u0301" * 5]),
        ("\u200b" * 30 + "a", ["a"]),
        ("0123456789 \u200b\u200b", ["0123456789"]),
        ("def f():\n    return", ["def f():", "return"]),
    ],
)
def test_a_text_is_cut_where_it_reads_best(text: str, pieces: list[str]) -> None:
    assert pieces_of(text, 10) == pieces


@pytest.mark.parametrize("text", ["", " ", "short", "0123456789 \u200b", "\u200b" * 11])
def test_behind_the_last_piece_the_rest_is_an_empty_text(text: str) -> None:
    _, rest = cut_piece(plain(text), Dialect(plain, utf16_units, 10))

    assert rest == RichText("")


def test_without_a_limit_nothing_is_cut() -> None:
    assert cut_piece(plain("x" * 100_000), PLAIN) == (plain("x" * 100_000), RichText(""))


TEXTS = st.text(st.sampled_from("ab \n😀é天"), max_size=120) | st.text(max_size=60)


@given(TEXTS, st.integers(2, 40))
def test_every_piece_fits_and_only_breaks_are_left_out(text: str, most_units: int) -> None:
    pieces = pieces_of(text, most_units)

    assert all(units(piece) <= most_units for piece in pieces)
    position = 0
    for piece in pieces:
        found = text.index(piece, position)
        assert is_blank(text[position:found])
        position = found + len(piece)
    assert is_blank(text[position:])


@given(TEXTS, st.integers(2, 40))
def test_a_text_that_grows_keeps_the_pieces_that_it_has(text: str, most_units: int) -> None:
    whole = pieces_of(text, most_units)
    for length in range(len(text)):
        grown = pieces_of(text[:length], most_units)

        assert grown[:-2] == whole[: max(len(grown) - 2, 0)]


@pytest.mark.parametrize(("count", "fit"), [(lambda length: (length + 1) // 2, 20), (lambda length: length - 1, 11)])
def test_a_platform_that_counts_less_than_characters_gets_as_much_as_it_takes(
    count: Callable[[int], int], fit: int
) -> None:
    lenient, text = Dialect(plain, lambda rich: count(len(rich.text)), 10), "abcdefghij" * 4

    piece, rest = cut_piece(plain(text), lenient)

    assert (piece.text, rest.text) == (text[:fit], text[fit:])
