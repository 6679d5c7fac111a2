"""These tests check that a reply in Discord's Markdown reads back as what was meant."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.discord.dialect import DISCORD, MOST_UNITS, write_markdown
from channels.discord.lines import APART
from channels.markup.cutting import cut_piece
from channels.markup.rich import Kind, RichText, Span, plain, utf16_units
from tests.platforms.discord_markdown import read, shown_text
from tests.platforms.nasty_markdown import nasty_markdown

SPECIAL = "*_~|`\\<>@#:-+.1[]()\n /&"
PLAIN = st.text(st.sampled_from(string.ascii_lowercase[:4] + SPECIAL + "é😀"), max_size=40)
WORDS = [
    "https://a.b/c_d",
    "http://x.y/*z*",
    "@everyone",
    "<@123>",
    "<:a:1>",
    ":smile:",
    "snake_case_",
    "1. ",
    "# ",
    "> ",
]
TEXTS = st.lists(st.one_of(PLAIN, st.sampled_from([*WORDS, "```", "- ", "-# ", "](https://a.b)"])), max_size=8).map(
    "".join
)

FEW = settings(max_examples=60)

KINDS: tuple[Kind, ...] = ("bold", "italic", "strike", "spoiler", "code", "link", "quote")

CODE = KINDS.index("code")


def marked(text: str, places: list[tuple[int, int, int]]) -> RichText:
    spans = []
    for first, length, kind in places:
        start = min(first, len(text))
        end = min(start + length, len(text))
        if start < end:
            spans.append(Span(start, end, KINDS[kind], "https://x.example/y" if KINDS[kind] == "link" else ""))
    return RichText(text, tuple(spans))


PLACES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12), st.integers(0, len(KINDS) - 1)), max_size=5)


def trimmed(text: str) -> str:
    return re.sub("\u200b", "", text).strip()


@FEW
@given(TEXTS)
@example("a\n1. b\n7. c")
@example("¯\\_(ツ)_/¯")
@example("[see [docs](https://a.b)](https://c.d)")
@example("http://a.b<b>")
def test_plain_text_stays_plain(text: str) -> None:
    shown = read(write_markdown(plain(text)))

    assert shown_text(shown) == text.strip()
    assert {mark for one in shown for mark in one.marks} <= {"address"}


@FEW
@given(st.text(st.sampled_from("abc \n"), max_size=30), PLACES)
def test_ordinary_words_carry_their_marks(text: str, places: list[tuple[int, int, int]]) -> None:
    rich = marked(text, [place for place in places if KINDS[place[2]] not in ("code", "quote")])
    begins = len(rich.text) - len(rich.text.lstrip())
    shown = [one for one in read(write_markdown(rich)) if one.character != APART]

    assert "".join(one.character for one in shown) == text.strip()
    for number, one in enumerate(shown):
        if not one.character.isspace():
            place = begins + number
            wanted = {span.kind for span in rich.spans if span.start <= place < span.end}
            assert {mark.split(" ")[0] for mark in one.marks} == wanted


@FEW
@given(TEXTS, PLACES)
@example("11", [(0, 1, CODE), (1, 1, CODE)])
@example("https://a.b/c 1", [(13, 2, CODE)])
@example("https://a.b/c_d:smile:", [(10, 12, 0)])
@example("~", [(0, 1, 2)])
def test_whatever_is_marked_no_character_is_lost_and_none_gets_a_mark_that_it_has_not(
    text: str, places: list[tuple[int, int, int]]
) -> None:
    rich = marked(text, [place for place in places if KINDS[place[2]] not in ("link", "quote")])
    shown = read(write_markdown(rich))
    kinds = {span.kind for span in rich.spans}

    assert trimmed(shown_text(shown)) == trimmed(text)
    assert {mark.split(" ")[0] for one in shown for mark in one.marks} <= {*kinds, "address"}


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("**bold**, *italic* and ~~struck~~", "**bold**, _italic_ and ~~struck~~"),
        ("***both***", "**_both_**"),
        ("un*frigging*believable", "un*frigging*believable"),
        ("`co*de` and ``a`b``", "`co*de` and ``a`b``"),
        ("[docs](https://x.example/a_(b))", "[docs](<https://x.example/a_%28b%29>)"),
        ("[https://x.example/](https://x.example/)", "https://x.example/"),
        ("[https://good.example](https://bad.example/)", "https://good.example (<https://bad.example/>)"),
        ("# Title", "**Title**"),
        ("- one\n- two", "• one\n• two"),
        ("1. one\n2. two", "1\\. one\n2\\. two"),
        ("> said\n> **twice**", "> said\n> **twice**"),
        ("```py\na = `1`\n```", "```py\na = `1`\n```"),
        ("````\n```\n````", f"```\n`{APART}`{APART}`\n```"),
        ("5 * 3, a_b, C:\\dir and #1", "5 \\* 3, a\\_b, C:\\\\dir and #1"),
        ("@everyone <@123> :smile:", "\\@everyone \\<@123> \\:smile:"),
        ("https://x.example/a_b*c", "https://x.example/a_b*c"),
        (
            "A sentence: plain, with a dash - and a date 2024-01-01.",
            "A sentence: plain, with a dash - and a date 2024-01-01.",
        ),
    ],
)
def test_markdown_is_written_as_discord_reads_it(source: str, written: str) -> None:
    assert write_markdown(DISCORD.render(source)) == written


def test_every_piece_fits_whatever_is_written() -> None:
    for source in nasty_markdown(25, 5):
        check_pieces(source)


def check_pieces(source: str) -> None:
    rest = DISCORD.render(f"{source}\n" * (1 + 5_000 // (len(source) + 1)))
    while rest.text:
        piece, rest = cut_piece(rest, DISCORD)
        assert utf16_units(plain(write_markdown(piece))) <= MOST_UNITS


@FEW
@given(TEXTS, PLACES)
def test_a_text_takes_no_more_than_it_is_said_to(text: str, places: list[tuple[int, int, int]]) -> None:
    rich = marked(text, places)

    assert utf16_units(plain(write_markdown(rich))) <= DISCORD.units(rich)


def test_a_text_without_marks_may_fill_a_message() -> None:
    piece, rest = cut_piece(plain("a" * (MOST_UNITS + 1)), DISCORD)

    assert (len(piece.text), len(rest.text)) == (MOST_UNITS, 1)
