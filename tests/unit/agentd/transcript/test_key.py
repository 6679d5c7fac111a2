from __future__ import annotations

import string
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentd.transcript.key import MAX_NAME_BYTES, SessionKey, parse_file_name
from tests.unit.agentd.transcript.building import CALM, keys

SAFE = set(string.ascii_lowercase + string.digits + "-_.+%~")

nasty = st.text(st.sampled_from("aA%~+-_./\\ \x00:é😀2"), max_size=8)
nasty_keys = st.builds(SessionKey, nasty, nasty, nasty, st.none() | nasty, st.none() | nasty)


@CALM
@given(keys | nasty_keys)
@example(SessionKey("", "", ""))
@example(SessionKey("", "", "", "", ""))
@example(SessionKey("%", "%", "%", "%", "%"))
@example(SessionKey("~", "~~", "~", "~", ""))
@example(SessionKey(".", "..", "../..", "/", "\x00"))
@example(SessionKey("--help", "-", "", None, "-"))
@example(SessionKey("fake", "\ud800", "a\udfffb"))
def test_a_name_gives_back_its_key(key: SessionKey) -> None:
    name = key.file_name

    assert parse_file_name(name) == (None if "%%" in name else key)


@CALM
@given(keys | nasty_keys, keys | nasty_keys)
def test_two_keys_have_two_names_even_where_case_does_not_count(one: SessionKey, other: SessionKey) -> None:
    assert (one.file_name.casefold() == other.file_name.casefold()) == (one == other)


@CALM
@given(st.builds(SessionKey, *[st.text(max_size=120)] * 5))
@example(SessionKey("c" * 300, "/" * 300, "\x00" * 300))
@example(SessionKey("😀" * 2_000, "", ""))
def test_a_name_is_short_and_safe(key: SessionKey) -> None:
    name = key.file_name

    assert len(name.encode()) <= MAX_NAME_BYTES == 200
    assert set(name) <= SAFE
    assert name[0] not in ".-~"
    assert name == name.lower()


@CALM
@given(st.text(min_size=200, max_size=230), st.text(min_size=200, max_size=230))
def test_long_keys_are_shortened_and_stay_apart(one: str, other: str) -> None:
    names = {SessionKey("telegram", "bot", part).file_name for part in (one, other)}

    assert len(names) == len({one, other})
    assert all(name.startswith("telegram~bot~") and "%%" in name for name in names)
    assert {parse_file_name(name) for name in names} == {None}


@pytest.mark.parametrize("length", range(120, 200))
def test_a_digest_follows_a_whole_mark_wherever_the_cut_falls(length: int) -> None:
    name = SessionKey("c", "a", "x" * length, "%" * 100).file_name
    prefix, mark, digest = name.partition("%%")

    assert len(name) <= 200
    assert mark
    assert not prefix.endswith("%")
    assert len(digest) == 40


@CALM
@given(st.text() | st.text(st.sampled_from("abz09-_.+%~ABé\ud800"), max_size=30))
@example("")
@example("~~~~")
@example("a~b~c~%%~")
@example("a~b~c~%ff~")
@example("a~b~c~%ed%a0%80~")
@example("a~b~c~%0~%zz")
@example("a~b~%61~~")
@example("-a~b~c~~")
@example(".~b~c~~")
@example("é~b~c~~")
def test_any_text_is_a_key_with_that_very_name_or_none(name: str) -> None:
    key = parse_file_name(name)

    assert key is None or key.file_name == name


@pytest.mark.parametrize(
    "name",
    [
        "a~b~%61~~",
        "A~b~c~~",
        "a~b~~~",
        "~~~~",
        "a~b~c~",
        "a~b~c~~~",
        "a~b~%2F~~",
        ".~b~c~~",
        "a~b~%ff~~",
        "~b~c~~",
        "a~~c~~",
    ],
)
def test_a_name_that_no_key_has_is_refused(name: str) -> None:
    assert parse_file_name(name) is None


def test_null_and_the_empty_string_and_a_percent_sign_are_three_things() -> None:
    threads = (None, "", "%", "%%", "~")
    names = {SessionKey("c", "a", "x", thread).file_name for thread in threads}

    assert names == {"c~a~x~~", "c~a~x~%~", "c~a~x~%25~", "c~a~x~%25%25~", "c~a~x~%7e~"}


def test_a_usual_key_is_readable() -> None:
    assert SessionKey("slack", "T01", "C7", "1712.001", "U9").file_name == "slack~+t01~+c7~1712.001~+u9"


def test_letters_and_digits_are_written_alike_whatever_stands_beside_them() -> None:
    """Files have these names already: by another one, a conversation would not be found again."""
    plain, beside = (SessionKey("c", "a", f"AMZ amz-_.059{more}").file_name for more in ("", "é"))

    assert plain == "c~a~+a+m+z%20amz-_.059~~"
    assert beside == "c~a~+a+m+z%20amz-_.059%c3%a9~~"


def test_no_two_keys_share_a_file() -> None:
    """With `_` for whatever a file system does not like, `a/b`, `a:b` and `a_b` would be one file."""
    chats = ["a/b", "a:b", "a_b", "a b", "a\\b", "A_B", "a_b ", "a_b.jsonl", "é", "e\u0301"]
    lookalikes = [SessionKey("telegram", "bot", chat, None, "u") for chat in chats]

    assert all(one.file_name != other.file_name for one, other in combinations(lookalikes, 2))


def test_what_is_listed_is_what_is_looked_up() -> None:
    """A file that is read back under a mangled name is not found under its key."""
    key = SessionKey("slack", "T1", "C/1:2", "1700000000.0001", "Ünï")

    assert parse_file_name(key.file_name) == key


def test_the_chat_is_part_of_the_key() -> None:
    """Without it one person's direct messages and two groups would be one session."""
    places = [SessionKey("telegram", "bot", chat, None, "ada") for chat in ("ada", "-100", "-200")]

    assert len({place.file_name for place in places}) == 3
