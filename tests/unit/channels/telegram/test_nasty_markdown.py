"""These tests send five hundred nasty strings: every word arrives, every piece fits, Telegram refuses none."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from channels.markup.characters import harmless, is_blank
from channels.markup.cutting import cut_piece
from channels.markup.rich import RichText, utf16_units
from channels.telegram.dialect import TELEGRAM
from channels.telegram.entities import MOST_ENTITIES, build_entities
from tests.platforms.nasty_markdown import nasty_markdown

COUNT = 500
AT_ONCE = 50

WORD = re.compile(r"[^\W_]+")
SYNTAX = re.compile(
    r"(?m)^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])(?:[ \t>]+|$)(?:\[[xX]\] )?)+"  # bullets, numbers and boxes
    r"|(?:```+|~~~+)[^\n]*"  # what stands behind a fence
    r"|mailto:|&nbsp;"  # the one is left out before an address, the other is a space in it
)


@cache
def texts() -> list[str]:
    """Return all of them: made when first asked for, since it takes most of a second."""
    return nasty_markdown(COUNT, 4)


def pieces_of(source: str) -> list[RichText]:
    pieces, rest = [], TELEGRAM.render(source)
    while rest.text:
        piece, rest = cut_piece(rest, TELEGRAM)
        pieces.append(piece)
    return pieces


def said(pieces: list[RichText]) -> str:
    """Everything that a person gets, the addresses behind the words too."""
    addresses = [span.detail for piece in pieces for span in piece.spans if span.kind == "link"]
    return "\n".join(("".join(piece.text for piece in pieces), *addresses))


@pytest.mark.parametrize("first", range(0, COUNT, AT_ONCE))
def test_every_piece_is_taken_and_no_word_is_lost(first: int) -> None:
    for number, source in enumerate(texts()[first : first + AT_ONCE], first):
        pieces = pieces_of(source)
        words = Counter(WORD.findall(SYNTAX.sub(" ", harmless(source))))
        text = said(pieces)

        assert (number, {word: count for word, count in words.items() if text.count(word) < count}) == (number, {})
        for piece in pieces:
            assert_is_taken(piece)


def assert_is_taken(piece: RichText) -> None:
    entities = build_entities(piece)
    places = [(entity.offset, -entity.length) for entity in entities]

    assert utf16_units(piece) <= 4096
    assert not is_blank(piece.text)
    assert piece.text == harmless(piece.text)
    assert places == sorted(places)
    assert len(entities) <= MOST_ENTITIES
    assert all(entity.offset + entity.length <= utf16_units(piece) for entity in entities)


def test_words_come_in_the_order_in_which_they_were_written() -> None:
    """But for tables: beside each cell its heading is said again."""
    sources = [source for source in texts() if not re.search(r"(?m)^\|?:?-", source)]
    for source in sources:
        text, position = said_in_order(source), 0
        for word in WORD.findall(SYNTAX.sub(" ", harmless(source))):
            found = text.find(word, position)

            assert found >= 0, (word, text[position:][:50])
            position = found + len(word)
    assert len(sources) > 100


def said_in_order(source: str) -> str:
    """The rendered text with each address behind the words that hide it."""
    rich = TELEGRAM.render(source)
    links = sorted((span.end, span.detail) for span in rich.spans if span.kind == "link")
    ends = [0, *(end for end, _ in links), len(rich.text)]
    parts = [rich.text[start:end] for start, end in pairwise(ends)]
    return "".join(
        part + address for part, address in zip(parts, [*(address for _, address in links), ""], strict=True)
    )
