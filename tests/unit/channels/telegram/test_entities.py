"""These tests check that entities are in bounds, sorted, nested by Telegram's rules, and never too many."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from telegram import MessageEntity

from channels.markup.markdown import render_markdown
from channels.markup.rich import Kind, RichText, Span, plain
from channels.telegram.dialect import TELEGRAM
from channels.telegram.entities import MOST_ENTITIES, build_entities


def words_of(entity: MessageEntity, text: str) -> str:
    raw = text.encode("utf-16-le")
    return raw[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")


def shown(rich: RichText) -> list[str]:
    """The entities, readable: `type=words`, with an address or language as `@detail`."""
    return [
        f"{entity.type}={words_of(entity, rich.text)}"
        + (f"@{detail}" if (detail := entity.url or entity.language) else "")
        for entity in build_entities(rich)
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", []),
        ("**b** *i* ~~s~~ `c`", ["bold=b", "italic=i", "strikethrough=s", "code=c"]),
        ("😀 **b😀**", ["bold=b😀"]),
        ("**a *b* c**", ["bold=a b c", "italic=b"]),
        ("**a `b` c**", ["bold=a", "code=b", "bold=c"]),
        ("[**a** `b`](https://a.bc)", ["text_link=a b@https://a.bc", "bold=a"]),
        ("> a `b` **c** [d](https://a.bc)", ["blockquote=a b c d", "code=b", "bold=c", "text_link=d@https://a.bc"]),
        ("> a\n> ```py\n> b\n> ```", ["blockquote=a\nb", "pre=b@py"]),
        ("```py\n  b\n```", ["pre=  b@py"]),
        ("# Title", ["bold=Title"]),
    ],
)
def test_marks_become_entities(source: str, expected: list[str]) -> None:
    assert shown(render_markdown(source)) == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([Span(0, 5, "bold"), Span(3, 9, "italic")], ["bold=one t", "italic=t", "italic=wo t"]),
        ([Span(0, 9, "bold"), Span(4, 7, "quote")], ["bold=one two t", "blockquote=two"]),
        ([Span(4, 13, "quote"), Span(0, 7, "pre")], ["pre=one", "blockquote=two three", "pre=two"]),
        ([Span(0, 8, "quote"), Span(6, 13, "quote")], ["blockquote=one two three"]),
        ([Span(3, 8, "bold")], ["bold=two"]),
        ([Span(3, 4, "bold")], []),
        ([Span(0, 3, "link", "http://localhost")], []),
    ],
)
def test_what_crosses_is_cut_and_what_telegram_refuses_is_left_out(spans: list[Span], expected: list[str]) -> None:
    assert shown(RichText("one two three", tuple(spans))) == expected


KINDS: tuple[Kind, ...] = ("bold", "italic", "strike", "spoiler", "code", "pre", "link", "quote")


@st.composite
def rich_texts(draw: st.DrawFn) -> RichText:
    text = draw(st.text(st.sampled_from("abc  \n😀é天\u0301"), max_size=60))
    places = st.integers(0, len(text))
    details = st.sampled_from(["", "https://a.bc", "http://localhost", "py"])
    spans = draw(st.lists(st.builds(Span, places, places, st.sampled_from(KINDS), details), max_size=20))
    return RichText(text, tuple(spans))


SOLID = {MessageEntity.PRE, MessageEntity.CODE, MessageEntity.TEXT_LINK}
CODE = {MessageEntity.PRE, MessageEntity.CODE}


def may_lie_in(inner: MessageEntity, outer: MessageEntity) -> bool:
    """The rules of https://core.telegram.org/bots/api#formatting-options; its servers let code lie in a quote."""
    return not (
        inner.type == outer.type
        or outer.type in CODE
        or (inner.type in CODE and outer.type != MessageEntity.BLOCKQUOTE)
        or (outer.type in SOLID and inner.type in {*SOLID, MessageEntity.BLOCKQUOTE})
    )


def assert_valid(rich: RichText) -> None:
    entities = build_entities(rich)

    assert len(entities) <= MOST_ENTITIES
    assert [(e.offset, -e.length) for e in entities] == sorted((e.offset, -e.length) for e in entities)
    for entity in entities:
        words = words_of(entity, rich.text)
        assert entity.offset >= 0
        assert len(words.encode("utf-16-le")) == 2 * entity.length > 0
        assert words.strip() == (words.lstrip() if entity.type == MessageEntity.PRE else words)
        assert (entity.url is not None) == (entity.type == MessageEntity.TEXT_LINK)
    for outer, inner in combinations(entities, 2):
        end = outer.offset + outer.length
        assert inner.offset >= end or (inner.offset + inner.length <= end and may_lie_in(inner, outer))


@given(rich_texts())
@example(RichText(" a", (Span(0, 2, "pre", ""), Span(2, 0, "quote", ""))))
def test_entities_are_never_refused(rich: RichText) -> None:
    assert_valid(rich)


@given(rich_texts())
def test_no_mark_is_lost_that_may_stand_beside_the_others(rich: RichText) -> None:
    bold = tuple(span for span in rich.spans if span.kind in ("bold", "quote"))
    entities = build_entities(RichText(rich.text, bold))
    places = [0]
    for character in rich.text:
        places.append(places[-1] + len(character.encode("utf-16-le")) // 2)

    for span in bold:
        for place in range(span.start, span.end):
            kind = MessageEntity.BLOCKQUOTE if span.kind == "quote" else MessageEntity.BOLD
            covered = any(e.offset <= places[place] < e.offset + e.length for e in entities if e.type == kind)
            assert covered or rich.text[place].isspace()


def test_beyond_a_hundred_what_is_missed_least_is_left_out() -> None:
    rich = render_markdown("*i* **b** `c` " * 80 + "[l](https://a.bc)\n\n```\np\n```")

    types = [entity.type for entity in build_entities(rich)]

    assert len(types) == MOST_ENTITIES
    assert {kind: types.count(kind) for kind in dict.fromkeys(types)} == {
        "bold": 18,
        "code": 80,
        "text_link": 1,
        "pre": 1,
    }
    assert_valid(rich)


def test_text_without_marks_has_no_entities() -> None:
    assert build_entities(plain("**not read**")) == ()


def test_telegram_takes_4096_units_of_rendered_text() -> None:
    assert TELEGRAM.most_units == 4096
    assert TELEGRAM.units(TELEGRAM.render("**😀**")) == 2
