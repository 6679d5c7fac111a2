"""These tests check growing and hostile Markdown: shown text stays, nothing takes long, nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.markup.markdown import MOST_CHARACTERS, render_markdown
from channels.markup.parsing import parse_markdown
from channels.markup.rich import plain
from tests.platforms.nasty_markdown import nasty_markdown

REPLY = """# How to boil an egg

You need **water**, an `egg` and [a clock](https://example.com/clock "any clock").
It takes *some* time.

1. Boil the water
2. Put the egg in:
   - softly
   - with a spoon

   ```python
   def boil(egg: str) -> None:

       print(egg)
   ```
3. Wait

> Patience,
> > said the egg,
>
> is all.

| Kind | Minutes |
|------|--------:|
| soft | 4 |
| hard | 9 |

Setup
---
- [x] water
- [ ] egg

![An egg](https://example.com/egg.png)

~~~
    the end
~~~
"""


def before_the_last_block(text: str) -> str:
    """The source of a text without its last block."""
    starts = [token.map[0] for token in parse_markdown(text) if token.level == 0 and token.map]
    return "".join(text.splitlines(keepends=True)[: max(starts, default=0)])


def assert_what_stands_stays(text: str, length: int) -> None:
    stands = before_the_last_block(text[:length])
    if not stands.strip():
        return
    shown = render_markdown(stands)
    for grown in (render_markdown(text[:length]), render_markdown(text)):
        assert grown.text.startswith(shown.text)
        assert shown.spans == grown.between(0, len(shown.text)).spans


@pytest.mark.parametrize("length", range(0, len(REPLY), 3))
def test_a_reply_that_grows_keeps_all_but_its_last_block(length: int) -> None:
    assert_what_stands_stays(REPLY, length)


BLOCKS = st.sampled_from(
    [
        "words",
        "# Head",
        "- a\n- b",
        "1. a\n2. b",
        "> q",
        "```\ncode\n```",
        "a | b\n--|--\n1 | 2\n",
        "---",
        "*em* `c`",
        "    x",
    ]
)
TEXTS = st.lists(st.tuples(BLOCKS, st.sampled_from(["\n", "\n\n", "\n\n\n"])), max_size=8)


@given(TEXTS, st.integers(0, 100))
def test_any_text_that_grows_keeps_all_but_its_last_block(blocks: list[tuple[str, str]], per_cent: int) -> None:
    text = "".join(block + end for block, end in blocks)

    assert_what_stands_stays(text, len(text) * per_cent // 100)


PATTERNS = (
    *(">", "> ", "[", "](", "*", "*a ", "**a ", "_a ", "`", "`a", "~~a ", "![", "[a](", "(", "- ", "-\n", "1. ", "# "),
    *(
        "|",
        "|a|b|\n|-|-|\n",
        "<",
        "<a",
        "\\",
        "&amp;",
        "\n",
        " ",
        "\t",
        "a",
        "天",
        "👨‍👩‍👧",
        "*_",
        "a**b",
        "[a](http://b.cd)",
    ),
    *(
        "```\n",
        "> a\n>> b\n",
        "- a\n  - b\n",
        "\r\n",
        "\0",
        "a\u0301",
        "> - ",
        "- > ",
        "[\\",
        "![a](",
        "a ` `` ",
        "\u202e",
    ),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_without_end_is_shown(pattern: str) -> None:
    source = (pattern * 10_000)[:10_000]

    rich = render_markdown(source)

    assert len(rich.text) <= 2 * len(source)
    assert all(0 <= span.start < span.end <= len(rich.text) for span in rich.spans)


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ("![", "](a)"), ("*a **b ", " b** a*"), ("> ", ""), ("- ", "")]
)
def test_nesting_without_end_loses_no_words(opening: str, closing: str) -> None:
    rich = render_markdown(opening * 1000 + "words" + closing * 1000)

    assert "words" in rich.text


def test_lists_nested_deeper_than_is_read_lose_no_words() -> None:
    source = "".join(f"{'  ' * level}- word{level}.\n" for level in range(60))

    rich = render_markdown(source)

    assert all(f"word{level}." in rich.text for level in range(60))


def test_a_wide_table_with_empty_rows_does_not_swell() -> None:
    source = f"|{'a|' * 300}\n|{'-|' * 300}\n" + "|x\n" * 200

    assert render_markdown(source).text.endswith("a | a\n" + "|x\n" * 199 + "|x")


def test_a_text_too_long_to_be_read_is_shown_as_it_is() -> None:
    source = "**a** " * (MOST_CHARACTERS // 6 + 1)

    assert render_markdown(source) == plain(source)


@given(st.text(st.sampled_from("ab1 \n\t*_`~[]()!<>#-+.|\\>:x") | st.characters(codec=None), max_size=80))
def test_no_text_is_beyond_rendering(text: str) -> None:
    rich = render_markdown(text)

    assert all(0 <= span.start < span.end <= len(rich.text) for span in rich.spans)
    rich.text.encode()


def test_the_nasty_strings_are_the_same_for_the_same_seed() -> None:
    assert nasty_markdown(50, 7) == nasty_markdown(50, 7)
    assert nasty_markdown(50, 7) != nasty_markdown(50, 8)
