"""These tests write rich text as Slack's Markdown, and read it back with a Markdown parser."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from channels.markup.cutting import cut_piece
from channels.markup.rich import Kind, RichText, Span, plain
from channels.slack.dialect import MOST_UNITS, SLACK, units
from channels.slack.writing import JOINER, NO_BREAK_SPACE, escape_text, to_markdown
from tests.platforms.nasty_markdown import nasty_markdown
from tests.platforms.slackapi.blocks import PING

PARSER = MarkdownIt("commonmark").enable(["strikethrough", "table"])
STYLES = {"strong": "bold", "em": "italic", "s": "strike", "link": "link"}

Character = tuple[str, frozenset[str]]


def read(markdown: str) -> list[Character]:
    """Return each character that is shown, with the marks on it; spaces and what is invisible left out."""
    shown: list[Character] = []
    quoted = 0
    for token in PARSER.parse(markdown):
        quoted += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        outside = frozenset({"quote"} if quoted else ())
        if token.type == "inline":
            shown += read_inline(token.children or [], outside)
        elif token.type == "fence":
            shown += [(character, outside | {"pre"}) for character in token.content]
        else:
            assert token.type.removesuffix("_open").removesuffix("_close") in ("paragraph", "blockquote"), token.type
    return [(character, marks) for character, marks in shown if is_kept(character)]


def read_inline(tokens: list[Token], outside: frozenset[str]) -> list[Character]:
    """Return the characters of one paragraph."""
    shown: list[Character] = []
    on: list[str] = []
    for token in tokens:
        kind, _, side = token.type.rpartition("_")
        if side == "open":
            on.append("" if token.info == "auto" else STYLES[kind])
        elif side == "close":
            on.pop()
        elif token.type in ("text", "text_special", "code_inline"):
            code = {"code"} if token.type == "code_inline" else set()
            shown += [(character, outside | {mark for mark in on if mark} | code) for character in token.content]
        else:
            assert token.type in ("softbreak", "hardbreak"), token.type
    return shown


def marked(rich: RichText) -> list[Character]:
    """Return the same of what was to be shown."""
    solid = frozenset({"pre"})
    shown: list[Character] = []
    for at, character in enumerate(rich.text):
        on = frozenset(span.kind for span in rich.spans if span.start <= at < span.end and span.kind != "spoiler")
        shown.append((character, on & {"pre", "quote"} if on & solid else on))
    return [(character, marks) for character, marks in shown if is_kept(character)]


def shown_words(markdown: str) -> str:
    return "".join(character for character, _ in read(markdown))


def is_kept(character: str) -> bool:
    return not character.isspace() and character != JOINER


WORDS = st.text(st.sampled_from("ab *_~`[]()<>&!#-+=.|\\/:1é你😀\n"), min_size=1, max_size=24)


@st.composite
def rich_texts(draw: st.DrawFn) -> RichText:
    """Lines with inline marks that lie within each other or cross, and code blocks and quotes of whole lines."""
    made = RichText("")
    for _ in range(draw(st.integers(1, 4))):
        text = draw(WORDS).strip() or "x"
        kind = draw(st.sampled_from(["text", "text", "text", "pre", "quote"]))
        spans: list[Span] = []
        if kind == "pre":
            spans.append(Span(0, len(text), "pre", draw(st.sampled_from(["", "py"]))))
        else:
            inline: list[Kind] = ["bold", "italic", "strike"]
            for mark in inline:
                start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
                if start < end and draw(st.booleans()):
                    spans.append(Span(start, end, mark))
            if kind == "quote":
                spans.append(Span(0, len(text), "quote"))
        made = made + (plain("\n") if made.text else plain("")) + RichText(text, tuple(spans))
    return made


@given(rich_texts())
@settings(max_examples=200, deadline=None)
def test_what_is_shown_is_the_text_with_its_marks(rich: RichText) -> None:
    assert read(to_markdown(rich)) == marked(rich)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_plain_text_shows_as_it_is(text: str) -> None:
    text = "".join(character for character in text if character == "\n" or character.isprintable())

    assert shown_words(to_markdown(plain(text))) == "".join(filter(is_kept, text))


@pytest.mark.parametrize(
    ("rich", "markdown"),
    [
        (RichText("so bold it is", (Span(3, 7, "bold"),)), "so **bold** it is"),
        (RichText("so slanted", (Span(3, 10, "italic"),)), "so _slanted_"),
        (RichText("gone", (Span(0, 4, "strike"),)), "~~gone~~"),
        (RichText("run ls -l", (Span(4, 9, "code"),)), "run `ls -l`"),
        (RichText("a `tick", (Span(2, 7, "code"),)), "a `` `tick ``"),
        (RichText("x = 1", (Span(0, 5, "pre", "python"),)), "```python\nx = 1\n```"),
        (RichText("so it\nsays\nhere", (Span(0, 10, "quote"),)), "> so it  \n> says\n\nhere"),
        (
            RichText("a page", (Span(2, 6, "link", "https://x.example.com/(1)"),)),
            "a [page](https://x.example.com/%281%29)",
        ),
        (RichText("a page", (Span(2, 6, "link", "file:///etc"),)), "a page"),
        (RichText("hidden", (Span(0, 6, "spoiler"),)), "hidden"),
        (plain("see https://x.example.com/a_b_c."), "see <https://x.example.com/a_b_c>."),
        (plain("snake_case, 2 * 3 = 6"), "snake_case, 2 * 3 = 6"),
        (plain("one\n  • two"), f"one  \n{NO_BREAK_SPACE * 2}• two"),
        (plain("1. one\n# two"), "1\\. one  \n\\# two"),
        (plain("one\n\ntwo"), "one\n\ntwo"),
    ],
)
def test_marks_become_markdown(rich: RichText, markdown: str) -> None:
    assert to_markdown(rich) == markdown


@pytest.mark.parametrize("ping", ["<!channel>", "<!here|here>", "<@U0ADA00001>", "<!subteam^S1>", "<#C0GENERAL1>"])
@pytest.mark.parametrize("kind", ["", "code", "pre", "bold", "quote"])
def test_nothing_that_a_model_writes_pings(ping: str, kind: Kind | Literal[""]) -> None:
    rich = RichText(ping, (Span(0, len(ping), kind),) if kind else ())

    assert PING.search(to_markdown(rich)) is None
    assert not to_markdown(rich).startswith("<#")
    assert PING.search(escape_text(ping)) is None


def test_nasty_texts_lose_no_word() -> None:
    for text in nasty_markdown(30, seed=5):
        rich = SLACK.render(text)

        assert shown_words(to_markdown(rich)) == "".join(filter(is_kept, rich.text))


@given(rich_texts(), st.integers(20, 60))
@settings(max_examples=100, deadline=None)
def test_no_piece_is_larger_in_either_form_than_slack_takes(rich: RichText, most: int) -> None:
    dialect, rest = replace(SLACK, most_units=most), rich
    while rest.text:
        piece, rest = cut_piece(rest, dialect)

        assert units(piece) <= most or len(piece.text) <= 2


def test_a_long_answer_is_cut_where_its_markdown_is_full() -> None:
    piece, rest = cut_piece(SLACK.render("**a** & " * 2_000), SLACK)

    assert MOST_UNITS - 100 < len(to_markdown(piece)) <= MOST_UNITS
    assert rest.text
