"""These tests check that a search skips lines without parsing them only if they cannot match."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.matching import _FOLDING, Query, parse_query
from agentd.transcript.records import UserMessage, encode_line


def query(words: str) -> Query:
    found = parse_query(words)
    assert found
    return found


def hits(words: str, *texts: str) -> list[str]:
    """Return the texts that a search over their file finds."""
    block = b"".join(encode_line(UserMessage(content=text)) for text in texts)
    found = [json.loads(block[start:end])["content"] for start, end in query(words).candidates(block)]
    return [text for text in found if query(words).matches(text)]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("hello", "Well, HELLO there"),
        ("there well", "Well, HELLO there"),
        ("天气", "今天天气很好"),
        ("STRASSE", "Die Straße"),
        ("straße", "DIE STRASSE"),
        ("жук", "ЖУК"),
        ("éa", "ÉA"),
        ("σοφος", "ΣΟΦΟΣ"),
        ("kelvin", "273 \N{KELVIN SIGN}elvin"),
        ("office", "oﬃce"),
        ("ok", "o\N{KELVIN SIGN}, go"),
        ('say "yes"', 'he did say "yes"'),
        ("c:\\users", "in C:\\Users\\ada"),
        ("http://a", "see http://a/b"),
        ("i̇stanbul", "İstanbul"),
        ("😀", "well 😀"),
    ],
)
def test_words_are_found_in_any_case_and_script(words: str, text: str) -> None:
    assert hits(words, "something else", text, "другое", "其他") == [text]


def test_all_words_must_be_in_one_message() -> None:
    assert hits("one two", "one", "two", "two and one") == ["two and one"]


def test_text_that_another_program_escaped_is_found() -> None:
    block = b'{"role":"user","content":"\\u5929\\u6c14"}\n{"role":"user","content":"no"}\n'

    assert [block[start:end] for start, end in query("天气").candidates(block)] == [block.split(b"\n")[0]]


def test_no_words_are_no_query() -> None:
    assert parse_query(" \n") is None


def test_the_letters_that_others_fold_to_are_those_of_unicode() -> None:
    others: dict[str, set[str]] = {}
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x110000)):
        for letter in filter(str.isascii, chr(code).casefold()):
            others.setdefault(letter, set()).add(chr(code))

    assert {letter: set(found) for letter, found in _FOLDING.items()} == others


messages = st.text(max_size=30) | st.sampled_from(["Straße", "K", "ﬁn", "天气 ok", "İ", 'a"b\\c/d', "ſs", "ΑΣ"])


@given(st.lists(messages, min_size=1, max_size=5), st.data())
def test_what_a_plain_search_finds_is_found(texts: list[str], data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(texts)).swapcase()
    start = data.draw(st.integers(0, len(source)))
    words = source[start : start + data.draw(st.integers(1, 6))]
    parsed = parse_query(words)
    wanted = [text for text in texts if parsed and parsed.matches(text)]

    assert (hits(words, *texts) if parsed else []) == wanted


def test_a_word_that_ascii_cannot_write_is_in_no_line_of_ascii() -> None:
    assert hits("天气", "today", "the weather") == []
    assert hits("ж", "today") == []


def test_where_no_letter_is_written_in_one_way_only_every_line_is_read() -> None:
    assert hits("é", "ÉTÉ", "ete", "nothing") == ["ÉTÉ"]


@pytest.mark.parametrize("word", ["/", '"', "\\", '/ "', "\x01"])
def test_a_word_of_which_nothing_is_written_in_one_way_only_has_each_line_of_ascii_read_once(word: str) -> None:
    block = b"".join(encode_line(UserMessage(content=text)) for text in ("one", "two"))
    found = islice(query(word).candidates(block), 3)

    assert [block[start:end] for start, end in found] == block.split(b"\n")[:2]


def test_a_word_of_signs_alone_is_found() -> None:
    assert hits("/", "and/or", "and or") == ["and/or"]
    assert hits('"', 'he said "yes"', "he said yes") == ['he said "yes"']


def test_a_sign_with_which_every_line_begins_is_found_in_the_first_one_too() -> None:
    assert hits("{", "a {b}", "none") == ["a {b}"]
    assert hits("json {", "so {} is JSON", "JSON") == ["so {} is JSON"]


def test_a_last_line_without_its_newline_is_found_whole() -> None:
    block = encode_line(UserMessage(content="hello")) + encode_line(UserMessage(content="hello there")).rstrip(b"\n")
    found = [json.loads(block[start:end])["content"] for start, end in query("hello").candidates(block)]

    assert found == ["hello", "hello there"]
    assert [json.loads(block[start:end])["content"] for start, end in query("there").candidates(block)] == found[1:]
