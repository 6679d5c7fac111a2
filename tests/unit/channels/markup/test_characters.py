"""These tests check which characters are invisible or belong together, and which addresses a link may hide."""

from __future__ import annotations

import pytest

from channels.markup.addresses import is_web_address
from channels.markup.characters import harmless, is_blank, is_joined


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "\u200b\u200c\u200d\u200e\u200f", "\ufeff\u00a0\u3000", "\u2800\u3164", "\u202e\u2066", "\ufe0f"],
)
def test_what_shows_nothing_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "\u200bа", ".", "•", "天", "😀", "\ufffd", "\u0301", "½"])
def test_what_shows_something_is_not_blank(text: str) -> None:
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("e", "\u0301"),
        ("👍", "🏻"),
        ("👍", "🏽"),
        ("👍", "🏿"),
        ("🏴", "\U000e0067"),
        ("\U000e0067", "\U000e007f"),
        ("👨", "\u200d"),
        ("\u200d", "👩"),
        ("❤", "\ufe0f"),
        ("🇩", "🇪"),
        ("🇦", "🇹"),
        ("🇳", "🇿"),
        ("ᄀ", "ᅡ"),
        ("\r", "\n"),
    ],
)
def test_what_is_shown_as_one_is_joined(before: str, after: str) -> None:
    assert is_joined(before + after, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(("a", "b"), ("é", "t"), ("天", "地"), ("🇩🇪", "🇫🇷"), ("a", " "), ("😀", "😀")),
        *(("a", "\n"), ("\r", "a"), ("天", "ᄀ"), ("ᅡ", "天")),
        *(("", "a"), ("", "\u0301"), ("e", "")),
    ],
)
def test_what_is_shown_apart_is_not_joined(before: str, after: str) -> None:
    assert not is_joined(before + after, len(before))


def test_control_characters_among_plain_letters_are_replaced_too() -> None:
    assert harmless("a\0b\x1bc\x7f") == "a\ufffdb\ufffdc\ufffd"
    assert harmless("one\r\ntwo") == "one\ntwo"


def test_line_ends_of_every_kind_become_line_feeds() -> None:
    assert harmless("a\r\nb\rc\vd\fe\x85f\u2028g\u2029h\ti") == "a\nb\nc\nd\ne\nf\ng\nh\ti"


@pytest.mark.parametrize(
    "address",
    [
        "https://a.bc",
        "HTTP://A.BC:8080/x?y=z#w",
        "https://münchen.example/straße",
        "http://1.2.3.4",
        "https://a.bc:065535",
        "https://a.bc/" + "x" * (2048 - len("https://a.bc/")),
    ],
)
def test_an_address_on_the_web_is_taken(address: str) -> None:
    assert is_web_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "a.bc", "//a.bc", "ftp://a.bc", "http://localhost", "http://", "http://.", "http://..", "https://[::1]/"),
        *(
            "http://a.bc:0",
            "http://a.bc:65536",
            "http://u:p@a.bc",
            "http://a.bc/x y",
            "http://a.bc/\u202e",
            "tg://user?id=1",
        ),
        *("http://a.bc\n", "https://a.bc/" + "x" * 2048),
    ],
)
def test_an_address_that_some_platform_refuses_is_not_taken(address: str) -> None:
    assert not is_web_address(address)
