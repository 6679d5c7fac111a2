"""These tests check what each Markdown construct is rendered to."""

from __future__ import annotations

import pytest

from channels.markup.markdown import render_markdown
from channels.markup.rich import RichText, plain


def marks(rich: RichText) -> list[str]:
    """The marks, readable: `bold=words`, with what stands behind them as `link=words@address`."""
    details = (f"@{span.detail}" if span.detail else "" for span in rich.spans)
    spans = zip(rich.spans, details, strict=True)
    return [f"{span.kind}={rich.text[span.start : span.end]}{detail}" for span, detail in spans]


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("plain words", "plain words", []),
        ("*it* **b** ~~s~~ `c`", "it b s c", ["italic=it", "bold=b", "strike=s", "code=c"]),
        ("***both***", "both", ["italic=both", "bold=both"]),
        ("**a *b* c**", "a b c", ["bold=a b c", "italic=b"]),
        ("**a **b** c**", "a b c", ["bold=a b c"]),
        ("snake_case_word 2*3*4", "snake_case_word 234", ["italic=3"]),
        ("an **open end", "an **open end", []),
        ("an `open end", "an `open end", []),
        (r"\*not\* \`this\` C:\new", "*not* `this` C:\\new", []),
        ("<b>x</b> &amp; &lt; a<b", "<b>x</b> &amp; &lt; a<b", []),
        ("<div>\ntext\n</div>", "<div>\ntext\n</div>", []),
        ("||x||", "||x||", []),
        ("a **[]()** b", "a  b", []),
    ],
)
def test_words_carry_their_marks(source: str, text: str, expected: list[str]) -> None:
    rich = render_markdown(source)

    assert rich.text == text
    assert marks(rich) == expected


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("[site](https://a.bc/d)", "site", ["link=site@https://a.bc/d"]),
        ("[**b** `c`](https://a.bc)", "b c", ["link=b c@https://a.bc", "bold=b", "code=c"]),
        ('[site](https://a.bc "more words")', "site (more words)", ["link=site@https://a.bc"]),
        ('[site](https://a.bc "site")', "site", ["link=site@https://a.bc"]),
        ('[**the** site](https://a.bc "the site")', "the site", ["link=the site@https://a.bc", "bold=the"]),
        ('[here](/docs "more words")', "here (/docs, more words)", []),
        ("[](https://a.bc)", "https://a.bc", ["link=https://a.bc@https://a.bc"]),
        ("see [](https://a.bc)", "see https://a.bc", ["link=https://a.bc@https://a.bc"]),
        ("<https://a.bc/ä%20b>", "https://a.bc/ä%20b", ["link=https://a.bc/ä%20b@https://a.bc/ä%20b"]),
        ("https://a.bc/x_y_z", "https://a.bc/x_y_z", []),
        ("[x](javascript:alert(1))", "x (javascript:alert(1))", []),
        ("[here](/docs/a)", "here (/docs/a)", []),
        ("[local](http://localhost:8080)", "local (http://localhost:8080)", []),
        ("[me](tg://user?id=1)", "me (tg://user?id=1)", []),
        ("[write](mailto:a@b.cd)", "write (a@b.cd)", []),
        ("<a@b.cd>", "a@b.cd", []),
        ("[nowhere]()", "nowhere", []),
        ("![cat](https://a.bc/c.png)", "cat", ["link=cat@https://a.bc/c.png"]),
        ('![cat](https://a.bc/c.png "Tom")', "cat (Tom)", ["link=cat@https://a.bc/c.png"]),
        ("![](https://a.bc/c.png)", "https://a.bc/c.png", ["link=https://a.bc/c.png@https://a.bc/c.png"]),
        ("[![badge](https://i.mg)](https://a.bc)", "badge (https://i.mg)", ["link=badge (https://i.mg)@https://a.bc"]),
        ("[text][ref]\n\n[ref]: https://a.bc", "[text][ref]\n\n[ref]: https://a.bc", []),
    ],
)
def test_a_link_hides_only_an_address_that_platforms_take(source: str, text: str, expected: list[str]) -> None:
    rich = render_markdown(source)

    assert rich.text == text
    assert marks(rich) == expected


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("one\ntwo  \nthree\\\nfour", "one\ntwo\nthree\nfour", []),
        ("one\n\n\n\ntwo", "one\n\ntwo", []),
        ("# Title *x* #\ntext", "Title x\ntext", ["bold=Title x", "italic=x"]),
        ("text\n---\nmore\n===", "text\n———\nmore\n===", []),
        ("a\n\n#\n\nb", "a\n\n#\n\nb", ["bold=#"]),
        ("- a\n- b\n  - c\n    d\n- e", "• a\n• b\n  • c\n    d\n• e", []),
        ("- an *item* `c`", "• an item c", ["italic=item", "code=c"]),
        ("- # a", "• a", ["bold=a"]),
        ("  1. a\n  2. b", "1. a\n2. b", []),
        ("- a\n\n  more\n- b\n\n- c", "• a\n\n  more\n• b\n\n• c", []),
        ("1. a\n1. b\n1. c", "1. a\n2. b\n3. c", []),
        ("3) a\n7) b", "3) a\n7) b", []),
        ("1. a\n  - b\n  - c\n2. d", "1. a\n  • b\n  • c\n2. d", []),
        ("2024. A year", "2024. A year", []),
        ("-\n- b", "•\n• b", []),
        ("- - a", "• • a", []),
        ("- [ ] open\n- [x] done\n1. [X] first", "☐ open\n☑ done\n1. ☑ first", []),
        ("Intro:\n- a\n- b\n\nOutro", "Intro:\n• a\n• b\n\nOutro", []),
        ("> said *so*\n> twice\n\nme", "said so\ntwice\n\nme", ["quote=said so\ntwice", "italic=so"]),
        ("> a\n> > b\n> > c\n>\n> d", "a\n> b\n> c\n\nd", ["quote=a\n> b\n> c\n\nd"]),
        ("> > b", "> b", ["quote=> b"]),
        ("- x\n  > q\n- y", "• x\n  q\n• y", ["quote=  q"]),
        ("a\n\n- > b\n\n  c", "a\n\n•\n  b\n\n  c", ["quote=  b"]),
        ("a\n\n1. - > # b", "a\n\n1. •\n     b", ["quote=     b", "bold=b"]),
    ],
)
def test_blocks_stand_apart_as_they_were_written(source: str, text: str, expected: list[str]) -> None:
    rich = render_markdown(source)

    assert rich.text == text
    assert marks(rich) == expected


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("```python\n  x = 1\n\ny\n```\nend", "  x = 1\n\ny\nend", ["pre=  x = 1\n\ny@python"]),
        ("```c++\nx", "x", ["pre=x@c++"]),
        ("```\n\n  \n  x\n```", "  x", ["pre=  x"]),
        ("say:\n```\nopen *end", "say:\nopen *end", ["pre=open *end"]),
        ("```py title=a.py\nx\n```", "title=a.py\nx", ["pre=x@py"]),
        ("```not-a_language!\nx\n```", "not-a_language!\nx", ["pre=x"]),
        ("```one line```", "one line", ["code=one line"]),
        ("text\n\n    indented\n      more", "text\n\nindented\n  more", ["pre=indented\n  more"]),
        ("- a\n  ```sh\n  ls\n  ```\n  b", "• a\nls\n  b", ["pre=ls@sh"]),
        ("- ```\n  x\n  ```", "•\nx", ["pre=x"]),
        ("> ```\n> x\n> ```", "x", ["quote=x", "pre=x"]),
        ("say\n\n```\n```", "say", []),
    ],
)
def test_code_stands_as_it_is(source: str, text: str, expected: list[str]) -> None:
    rich = render_markdown(source)

    assert rich.text == text
    assert marks(rich) == expected


WIDE = "Description of it all, and at length"


@pytest.mark.parametrize(
    ("lines", "shown", "kinds"),
    [
        (["|a|b|", "|-|-:|", "|x `c`|1|", "|天|22|"], ["a   |  b", "----+---", "x c |  1", "天  | 22"], {"pre"}),
        (["a | b", "--|--", "1"], ["a | b", "--+--", "1 |"], {"pre"}),
        (["|a|b|", "|-|-|", "1", "2|3"], ["a | b", "--+--", "1 |", "2 | 3"], {"pre"}),
        (["|a|b|", "|-|-|", "|1|2|3|"], ["a | b", "--+------", "1 | 2 | 3"], {"pre"}),
        (["a|", "-|", "1|", "2"], ["a", "-", "1", "2"], {"pre"}),
        (["|a|b|", "|-|-|"], ["a | b", "--+--"], {"pre"}),
        (
            ["|long|b|mid|", "|-:|:-:|-|", "|1|22222|x|", "|22|4444|yy|"],
            ["long |   b   | mid", "-----+-------+----", "   1 | 22222 | x", "  22 | 4444  | yy"],
            {"pre"},
        ),
        (["|a|b|", "|-|-|", "|\u200b|1|"], ["a | b", "--+--", "\u200b  | 1"], {"pre"}),
        (["say", "|a|", "|-|", "|1|"], ["say", "a", "-", "1"], {"pre"}),
        (
            ["|a|b|", "|-|-|", "|1|2|3|", "", "|c|", "|-|", "|4|"],
            ["a | b", "--+------", "1 | 2 | 3", "", "c", "-", "4"],
            {"pre"},
        ),
        (
            ["a|b|c|d|e", "-|-|-|-|-", "1|2", "end"],
            ["a | b | c | d | e", "--+---+---+---+--", "1 | 2 |   |   |", "end"],
            {"pre"},
        ),
        (["a | b", "--|--", "1 | 2 | 3"], ["a | b", "--+------", "1 | 2 | 3"], {"pre"}),
        (["|a|b|", "|-|-|", "|[x](https://a.bc)|1|"], ["a: x", "b: 1"], {"bold", "link"}),
        (
            [f"|Name|{WIDE}|", "|-|-|", "|Ann|*good*|", "|Bob||"],
            ["Name: Ann", f"{WIDE}: good", "", "Name: Bob", f"{WIDE}: –"],
            {"bold", "italic"},
        ),
        ([f"|{WIDE}|{WIDE}|", "|-|-|"], [f"{WIDE} | {WIDE}"], {"bold"}),
        (
            [f"|{WIDE * 9}|b|", "|-|-|", "|1|", "|2|", "|3|", "|4|", "|5|", "|6|"],
            [f"{WIDE * 9} | b", *"123456"],
            {"bold"},
        ),
        (
            [f"|{WIDE * 9}|b|", "|-|-|", "|1|", "||", "|3|", "||4|", "|5|", "|6|"],
            [f"{WIDE * 9} | b", "1", "", "3", " | 4", "5", "6"],
            {"bold"},
        ),
    ],
)
def test_a_table_fits_a_phone_or_becomes_lines(lines: list[str], shown: list[str], kinds: set[str]) -> None:
    rich = render_markdown("\n".join(lines))

    assert rich.text.split("\n") == shown
    assert {span.kind for span in rich.spans} == kinds


def test_marks_in_a_wide_table_stand_on_their_words() -> None:
    rich = render_markdown(f"say\n\n|*Name*|{WIDE}|\n|-|-|\n|Ann|[her site](https://a.bc)|\n|Bob|`b` c|")

    assert rich.text == f"say\n\nName: Ann\n{WIDE}: her site\n\nName: Bob\n{WIDE}: b c"
    assert marks(rich) == [
        *("bold=Name: Ann", "italic=Name", "link=her site@https://a.bc"),
        *("bold=Name: Bob", "italic=Name", "code=b"),
    ]


def test_a_table_side_by_side_is_code_of_no_language() -> None:
    rich = render_markdown("say\n\n|a|\n|-|\n|1|\n\nend")

    assert marks(rich) == ["pre=a\n-\n1"]


@pytest.mark.parametrize(("width", "is_side_by_side"), [(40, True), (41, False)])
def test_a_table_is_side_by_side_if_a_phone_shows_its_lines_unbroken(width: int, is_side_by_side: bool) -> None:
    rich = render_markdown(f"|a|b|{'c' * (width - len('a | b | '))}|\n|-|-|-|\n|1|2|3|")

    assert (rich.spans[0].kind == "pre") == is_side_by_side


def test_a_heading_without_words_in_a_list_hinders_nothing() -> None:
    assert render_markdown("- #\n- b").text.endswith("\n• b")


@pytest.mark.parametrize("source", ["```\n```", ">", "> >", "```python", "[]()"])
def test_what_would_show_nothing_is_shown_as_it_was_written(source: str) -> None:
    assert render_markdown(source) == plain(source)


def test_what_platforms_refuse_is_made_harmless() -> None:
    rich = render_markdown("a\0b\x1b[1m\ud800 `\x07`\r\nc\u2028d\te")

    assert rich.text == "a\ufffdb\ufffd[1m\ufffd \ufffd\nc\nd\te"


def test_of_a_wide_row_what_is_empty_beside_an_empty_heading_is_left_out() -> None:
    rich = render_markdown(f"|{WIDE}|||\n|-|-|-|\n|Ann|||\n|Bob||in|")

    assert rich.text == f"{WIDE}: Ann\n\n{WIDE}: Bob\nin"
