"""These tests check that secrets are not remembered, and that what only resembles one is kept."""

from __future__ import annotations

import pytest

from memory.secrets import LEFT_OUT, has_secret, without_secrets


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("My password is hunter2, my dog is Rex.", "My password is X my dog is Rex."),
        ("First the password: s3same! Then the passphrase: tomato.", "First the password: X Then the passphrase: X"),
        ("My PIN is 1234.", "My PIN is X"),
        ("The PIN: “0000”", "The PIN: “X"),
        ("Passwort: geheim", "Passwort: X"),
        ("Pin the note to the wall, my password is hunter2", "Pin the note to the wall, my password is X"),
        ("I forgot my password. My password is hunter2", "I forgot my password. My password is X"),
    ],
)
def test_the_word_behind_the_name_of_a_secret_is_left_out_and_all_else_stays(text: str, left: str) -> None:
    assert without_secrets(text) == left.replace("X", LEFT_OUT)
    assert has_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password and was sad",
        "The password, and The PIN.",
        "my password",
        "the password: !",
        "MY PIN is THE",
    ],
)
def test_a_secret_that_is_named_and_not_told_leaves_the_text_as_it_is(text: str) -> None:
    assert without_secrets(text) == text
    assert has_secret(text)


@pytest.mark.parametrize("text", ["A pin 1234 on the map", "We have 12 apples", "Rex is 3", ""])
def test_a_pin_is_not_a_PIN(text: str) -> None:  # noqa: N802
    assert without_secrets(text) == text
    assert not has_secret(text)


@pytest.mark.parametrize(
    "number", ["4222222222222", "4111 1111 1111 1111", "5500-0055-5555-5559", "6759649826438453", "6304000000000000000"]
)
def test_the_number_of_a_card_is_left_out_by_its_check_digit(number: str) -> None:
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)

    assert without_secrets(f"It is {number} indeed") == f"It is {LEFT_OUT} indeed"
    assert without_secrets(f"It is {wrong} indeed") == f"It is {wrong} indeed"


@pytest.mark.parametrize("number", ["0" * 12 + " ", "00000000000000000000"])
def test_a_number_too_short_or_too_long_for_a_card_stays(number: str) -> None:
    assert without_secrets(f"It is {number}, indeed") == f"It is {number}, indeed"


@pytest.mark.parametrize(
    "key",
    [
        "aB3dE6gH9jK2mN5pQ8sT",
        "tr0ub4dor&3",
        "abc$1234",
        "sk-live-aaaaaaaaaaaaaaaaaaaa",
        "a1b2c3d4aaaaaaaaaaaaaaaaaa",
    ],
)
def test_a_word_that_looks_like_a_key_is_left_out_with_what_encloses_it(key: str) -> None:
    assert without_secrets(f"Take ({key}), please") == f"Take {LEFT_OUT} please"


@pytest.mark.parametrize(
    "word",
    [
        "ada1234@example.org",
        "https://example.org/aB3dE6gH9jK2mN5pQ8sT",
        "and/or/aB3dE6gH9jK2mN5pQ8sT",
        "http://aB3dE6gH9jK2mN5pQ8sT",
        "aB3dE6gH9jK2mN5pQ8s",
        "conversation2026november",
        "ab$12345",
        "abc$123",
        "Straße$1234",
        "1234567$",
        "abcdefg$",
        "abcdefghij12",
        "BMWX3sDrive",
        "room12building34entrance",
        "grösse1a2b3c4d5e6f7g8h",
    ],
)
def test_a_word_that_looks_like_none_stays(word: str) -> None:
    assert without_secrets(f"Take ({word}), please") == f"Take ({word}), please"
