"""These tests check pieces of text with formatting: marks go on behind a cut, and code keeps its lines."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.markup.characters import is_blank
from channels.markup.cutting import cut_piece
from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, Kind, RichText, Span, plain, utf16_units
from tests.platforms.nasty_markdown import nasty_markdown


def pieces_of(rich: RichText, most_units: int) -> list[RichText]:
    dialect, pieces = Dialect(plain, utf16_units, most_units), []
    while rich.text:
        piece, rich = cut_piece(rich, dialect)
        pieces.append(piece)
    return pieces


def test_code_that_is_cut_is_closed_and_opened_again() -> None:
    rich = RichText("if x:\n\n    y = 1\n    z = 2", (Span(0, 26, "pre", "python"),))

    assert pieces_of(rich, 20) == [
        RichText("if x:\n\n    y = 1", (Span(0, 16, "pre", "python"),)),
        RichText("    z = 2", (Span(0, 9, "pre", "python"),)),
    ]


def test_an_empty_line_in_code_is_no_end_of_a_block() -> None:
    rich = RichText("a = 1\n\nb = 2\nc = 3", (Span(0, 18, "pre"),))

    assert [piece.text for piece in pieces_of(rich, 13)] == ["a = 1\n\nb = 2", "c = 3"]


def test_a_text_is_rather_cut_before_its_code_than_at_an_empty_line_in_it() -> None:
    rich = RichText("para one\n\na = 1\n\nb = 2", (Span(10, 22, "pre"),))

    assert [piece.text for piece in pieces_of(rich, 16)] == ["para one", "a = 1\n\nb = 2"]
    assert [piece.text for piece in pieces_of(RichText(rich.text), 16)] == ["para one\n\na = 1", "b = 2"]


def test_a_text_with_code_at_its_end_is_cut_at_the_last_empty_line_before_it() -> None:
    rich = RichText("a long paragraph\n\ntwo\n\nx\n\ny", (Span(23, 27, "pre"),))

    assert [piece.text for piece in pieces_of(rich, 26)] == ["a long paragraph\n\ntwo", "x\n\ny"]


def test_code_is_cut_at_a_line_of_it_where_the_text_before_is_too_short_for_a_piece() -> None:
    rich = RichText("a first\n\na = 1\nb = 2\n\nc = 3", (Span(9, 27, "pre"),))

    assert [piece.text for piece in pieces_of(rich, 22)] == ["a first\n\na = 1\nb = 2", "c = 3"]


def test_empty_lines_of_code_behind_a_cut_are_left_out_but_not_the_indentation() -> None:
    rich = RichText("if x:\n    y\n\n\n\n    z = 22", (Span(0, 25, "pre"),))

    assert [piece.text for piece in pieces_of(rich, 12)] == ["if x:\n    y", "    z = 22"]


def test_a_mark_goes_on_after_the_cut() -> None:
    rich = RichText("one two three", (Span(4, 13, "bold"), Span(4, 13, "link", "https://a.bc")))

    assert pieces_of(rich, 8) == [
        RichText("one two", (Span(4, 7, "bold"), Span(4, 7, "link", "https://a.bc"))),
        RichText("three", (Span(0, 5, "bold"), Span(0, 5, "link", "https://a.bc"))),
    ]


KINDS: tuple[Kind, ...] = ("bold", "italic", "strike", "spoiler", "code", "pre", "link", "quote")


@st.composite
def rich_texts(draw: st.DrawFn) -> RichText:
    text = draw(st.text(st.sampled_from("ab  \n\n😀é天\u0301\u200d\u200b"), max_size=80))
    places = st.integers(0, max(len(text) - 1, 0))
    spans = draw(st.lists(st.tuples(places, places, st.sampled_from(KINDS)), max_size=8 if text else 0))
    return RichText(text, tuple(Span(min(a, b), max(a, b) + 1, kind) for a, b, kind in spans))


def shown(rich: RichText) -> list[tuple[str, frozenset[Kind]]]:
    """Every character that a person sees, with its marks."""
    return [
        (character, frozenset(span.kind for span in rich.spans if span.start <= place < span.end))
        for place, character in enumerate(rich.text)
        if not is_blank(character)
    ]


def assert_whole(rich: RichText, most_units: int) -> None:
    pieces = pieces_of(rich, most_units)

    assert [one for piece in pieces for one in shown(piece)] == shown(rich)
    for piece in pieces:
        assert utf16_units(piece) <= most_units
        assert all(0 <= span.start < span.end <= len(piece.text) for span in piece.spans)
        assert not is_blank(piece.text) or len(pieces) == 1
        is_code = any(span.kind == "pre" and span.start == 0 for span in piece.spans)
        assert piece.text == (piece.text.rstrip() if is_code else piece.text.strip()) or is_blank(piece.text)


@given(rich_texts(), st.integers(2, 40))
def test_no_character_loses_its_marks_and_no_piece_is_blank(rich: RichText, most_units: int) -> None:
    assert_whole(rich, most_units)


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(20, 400))
def test_nasty_markdown_is_cut_whole(seed: int, most_units: int) -> None:
    (source,) = nasty_markdown(1, seed)

    assert_whole(render_markdown(source[:1000]), most_units)


@given(st.integers(0, 40), st.integers(16, 40))
def test_no_character_of_many_parts_is_cut_where_there_is_room(count: int, most_units: int) -> None:
    pieces = pieces_of(plain("x👨‍👩‍👧" * count), most_units)

    assert not any(piece.text.startswith(("\u200d", "👩", "👧")) for piece in pieces)
