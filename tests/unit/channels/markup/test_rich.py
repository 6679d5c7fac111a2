"""These tests check rich text: the text that people read, and its formatting marks."""

from __future__ import annotations

from channels.markup.rich import RichText, Span, utf16_units

BOLD = RichText("ab", (Span(0, 2, "bold"),))


def test_marks_move_with_the_text_that_is_put_behind() -> None:
    assert RichText("xyz", (Span(1, 3, "italic"),)) + BOLD == RichText(
        "xyzab", (Span(1, 3, "italic"), Span(3, 5, "bold"))
    )


def test_a_part_has_what_of_the_marks_lies_in_it() -> None:
    whole = RichText("one two", (Span(0, 3, "bold"), Span(2, 6, "link", "https://example.org")))

    assert whole.between(0, 7) == whole
    assert whole.between(3, 7) == RichText(" two", (Span(0, 3, "link", "https://example.org"),))
    assert whole.between(0, 2) == RichText("on", (Span(0, 2, "bold"),))
    assert whole.between(6, 7) == RichText("o")


def test_what_lies_beyond_the_first_plane_counts_twice() -> None:
    assert [utf16_units(RichText(text)) for text in ("", "ab", "ä", "🎉b", "\ud800")] == [0, 2, 1, 3, 1]
