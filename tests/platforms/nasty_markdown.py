"""This module generates nasty Markdown, everything mixed with everything, reproducible by seed.

It is what a channel has to deliver whatever it makes of it: fences that nobody closes, emphasis that crosses, links
to odd addresses, tables with holes, marks of direction, emoji of many parts, HTML, backslashes, pipes, huge words.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = ["nasty_markdown"]

WORDS = (
    *("alpha", "Beta", "gamma7", "snake_case_word", "__init__", "2**3", "C++", "a|b", "f(x)", "x<y", "a&b", "R2D2"),
    *("größe", "naïve", "слово", "天地玄黄", "こんにちは", "안녕", "שלום", "مرحبا", "हिन्दी", "ภาษาไทย"),
    *(
        "e\u0301clair",
        "Z\u0351\u036b\u0343a\u0302l\u0300go",
        "zero\u200bwidth",
        "soft\u00adhyphen",
        "\u202eflipped\u202c",
    ),
    *("👨‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪🇫🇷", "❤️", "1️⃣", "\u200f", "\ufeff", "\u2066iso\u2069", "tab\tbed", "nul\0led"),
)
MARKS = ("*", "**", "***", "_", "__", "~~", "~", "`", "``", "```", "||", "[", "]", "(", ")", "![", "<", ">", "\\", "|")
ADDRESSES = (
    *("https://example.com", "http://example.com/a_b?c=d&e=f#g", "https://example.com/(x)", "HTTP://EXAMPLE.COM"),
    *("http://localhost:8080/x", "http://", "https://exa mple.com", "javascript:alert(1)", "mailto:a@example.com"),
    *("tg://user?id=1", "tel:+123", "/relative/path", "#anchor", "", "http://1.2.3.4:99999/", "https://[::1]/x"),
    *("https://münchen.example/straße", "http://user:pass@example.com", "data:text/html,x", "https://example.com/\\"),
    *("file:///etc/passwd", "https://example.com/" + "long/" * 50, "http://..", "https://a.b/`c`", "<https://x.org>"),
)
LINES = ("---", "***", "===", "#", "##", ">", "-", "1.", "|", "|-|-|", "```", "~~~", "   ", "\t", "<br>", "<!-- x -->")
LANGUAGES = ("", "python", "c++", "py title=x.py", "{.lua}", "not a language", "x" * 40, "a`b", "|", "**bold**")
MOST_DEPTH = 3


def nasty_markdown(count: int, seed: int) -> list[str]:
    """Return `count` texts, none of them blank, some longer than a message."""
    dice = Random(seed)  # noqa: S311 - the same strings for the same seed
    return [_document(dice) for _ in range(count)]


def _document(dice: Random) -> str:
    blocks = [dice.choice(_BLOCKS)(dice) for _ in range(dice.choice((1, 2, 3, 5, 8, 30)))]
    ends = [dice.choice(("\n\n", "\n\n", "\n", "\n\n\n\n", "  \n", "\\\n", "\r\n")) for _ in blocks]
    text = "".join(block + end for block, end in zip(blocks, ends, strict=True))
    if dice.random() < 0.3:
        text = text[: dice.randint(1, len(text))]
    return text if any(character.isalnum() for character in text) else text + "word"


def _words(dice: Random, depth: int = 0) -> str:
    """Return a line of words, marks and whatever else stands in a line."""
    parts = [dice.choice(_INLINES)(dice, depth) for _ in range(dice.choice((1, 2, 3, 6, 12)))]
    return dice.choice((" ", " ", " ", "")).join(parts)


def _word(dice: Random, depth: int) -> str:
    return dice.choice(WORDS)


def _mark(dice: Random, depth: int) -> str:
    return dice.choice(MARKS)


def _wrapped(dice: Random, depth: int) -> str:
    if depth >= MOST_DEPTH:
        return dice.choice(WORDS)
    mark = dice.choice(MARKS[:11])
    return mark + _words(dice, depth + 1) + dice.choice((mark, mark, mark, dice.choice(MARKS), ""))


def _link(dice: Random, depth: int) -> str:
    if depth >= MOST_DEPTH:
        return dice.choice(ADDRESSES)
    title = dice.choice(("", "", ' "a title"', " 'open", ' "ti\\"tle"'))
    return f"{dice.choice(('', '!'))}[{_words(dice, depth + 1)}]({dice.choice(ADDRESSES)}{title}{dice.choice(')))) ')}"


def _bare_link(dice: Random, depth: int) -> str:
    return dice.choice(("<{}>", "{}", "[ref]: {}", "[{}][ref]")).format(dice.choice(ADDRESSES))


def _html(dice: Random, depth: int) -> str:
    return dice.choice(
        ("<b>bold</b>", "<script>x()</script>", "&amp;", "&#0;", "&nbsp;", "</p", "<!--", "<a href='x'>")
    )


def _escape(dice: Random, depth: int) -> str:
    return "\\" + dice.choice("*_`[]()#+-.!|\\<>~ aé\n")


def _huge(dice: Random, depth: int) -> str:
    return dice.choice(("x", "天", "👨‍👩‍👧", "e\u0301", "_a", "*", "[", "`a")) * dice.choice((50, 500, 3000))


def _paragraph(dice: Random) -> str:
    return "\n".join(dice.choice(("", "", "  ", "    ")) + _words(dice) for _ in range(dice.randint(1, 4)))


def _line(dice: Random) -> str:
    return dice.choice(LINES)


def _heading(dice: Random) -> str:
    return "#" * dice.randint(1, 7) + dice.choice((" ", "")) + _words(dice) + dice.choice(("", " ##", "\n---", "\n==="))


def _list(dice: Random) -> str:
    markers = ("- ", "* ", "+ ", "1. ", "7) ", "- [ ] ", "- [x] ", "  - ", "    1. ", "-")
    return "\n".join(dice.choice(markers) + _words(dice) for _ in range(dice.randint(1, 6)))


def _quote(dice: Random) -> str:
    return "\n".join(dice.choice(("> ", ">", ">> ", "> > > ", "> - ", ">     ")) + _words(dice) for _ in range(4))


def _fence(dice: Random) -> str:
    mark = dice.choice(("```", "~~~", "````", "  ```"))
    code = "\n".join(" " * dice.randint(0, 8) + _words(dice) for _ in range(dice.choice((0, 1, 5, 60))))
    return f"{mark}{dice.choice(LANGUAGES)}\n{code}\n{dice.choice((mark, mark, '```', ''))}"


def _table(dice: Random) -> str:
    columns = dice.randint(1, 5)
    rows = [[_words(dice, MOST_DEPTH - 1) for _ in range(columns + dice.choice((0, 0, -1, 1)))] for _ in range(4)]
    rule = "|".join(dice.choice(("---", ":-:", "--:", "-", ":--")) for _ in range(columns))
    return "\n".join(("|".join(rows[0]), rule, *(f"|{'|'.join(row)}|" for row in rows[1:])))


_INLINES: tuple[Callable[[Random, int], str], ...] = (
    *(_word, _word, _word, _word, _word, _word, _word, _word),
    *(_mark, _mark, _wrapped, _wrapped, _wrapped, _link, _link, _bare_link, _html, _escape),
)

_BLOCKS: tuple[Callable[[Random], str], ...] = (
    *(_paragraph, _paragraph, _paragraph, _line, _heading, _list, _list, _quote, _fence, _fence, _table, _table),
    lambda dice: _huge(dice, 0),
)
