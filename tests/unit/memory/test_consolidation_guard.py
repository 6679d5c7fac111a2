"""These tests check which facts a person's own words support, and which they do not."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.guard import Doubt, best_quote, ground, read_said
from memory.model import Evidence, Exchange, Fact, Words
from memory.prompts import build_ask
from memory.quotes import find_quote, sentences
from tests.unit.memory.grounding_cases import (
    KEPT,
    KEPT_LATER,
    KEPT_SINCE,
    LOST,
    REFUSED,
    REFUSED_LATER,
    REFUSED_SINCE,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def exchange(*said: str, answered: str = "", name: str = "Anna") -> Exchange:
    words = tuple(Words(seq, NOW, text) for seq, text in enumerate(said, 1))
    return Exchange("s", 1, len(said), "telegram:1", name, True, words, answered=answered)


def judged(given: Exchange, text: str, quote: str | None = None) -> Fact | Doubt:
    if quote is None:
        found = best_quote(read_said(given), text)
        return ground(read_said(given), Fact(text, (found,)), takes_messages=True) if found else Doubt.QUOTE
    return ground(read_said(given), Fact(text, (Evidence("s", 1, quote),)), takes_messages=True)


@pytest.mark.parametrize(("said", "fact"), [*KEPT, *KEPT_LATER, *KEPT_SINCE])
def test_what_they_said_in_other_words_is_kept(said: str, fact: str) -> None:
    kept = judged(exchange(said), fact)

    assert isinstance(kept, Fact)
    assert " ".join(kept.evidence[0].quote.split()) in " ".join(said.split())


@pytest.mark.parametrize(("said", "fact"), [*REFUSED, *REFUSED_LATER, *REFUSED_SINCE])
def test_what_they_never_said_is_not_kept(said: str, fact: str) -> None:
    given = exchange(said, answered=f"As I recall, this is so: {fact}.")

    assert isinstance(judged(given, fact), Doubt)
    assert isinstance(judged(given, fact, said), Doubt)


@pytest.mark.parametrize(("said", "fact"), LOST)
def test_what_shares_no_word_with_theirs_is_lost_though_it_is_true(said: str, fact: str) -> None:
    assert isinstance(judged(exchange(said), fact), Doubt)


@pytest.mark.parametrize(("said", "fact"), [*KEPT, *KEPT_LATER, *KEPT_SINCE])
def test_the_assistants_words_carry_nothing(said: str, fact: str) -> None:
    assert isinstance(judged(exchange("thanks, and good night", answered=said), fact), Doubt)


@pytest.mark.parametrize(
    ("fact", "doubt"),
    [
        ("Lives in Porto", Doubt.NAME),
        ("Has three cats in Lisbon", Doubt.NUMBER),
        ("Works in Lisbon", Doubt.CLAIM),
        ("Loves the beaches of Lisbon and surfing", Doubt.SHARE),
        ("Does not live in Lisbon", Doubt.DENIAL),
        ("  \n", Doubt.EMPTY),
    ],
)
def test_a_refusal_says_why(fact: str, doubt: Doubt) -> None:
    assert judged(exchange("I moved to Lisbon with two cats"), fact, "I moved to Lisbon") is doubt


def test_a_quote_has_to_speak_of_the_fact() -> None:
    given = exchange("good morning to you. I moved to Lisbon")

    assert judged(given, "Lives in Lisbon", "good morning") is Doubt.SHARE
    assert isinstance(judged(given, "Lives in Lisbon", "moved to Lisbon"), Fact)
    assert judged(exchange("I turned 34. It was fun"), "Is 34 years old", "It was fun") is Doubt.SHARE


@pytest.mark.parametrize("quote", ["I live in Lisbon", "moved to Porto", "", "[memory 2026-01-01] moved"])
def test_what_is_not_in_the_message_is_no_quote_of_it(quote: str) -> None:
    assert judged(exchange("I moved to Lisbon"), "Lives in Lisbon", quote) is Doubt.QUOTE


def test_the_persons_own_name_is_known_where_a_fact_or_a_sentence_begins_with_it() -> None:
    given = exchange("I moved to Lisbon")

    assert isinstance(judged(given, "Anna lives in Lisbon"), Fact)
    assert isinstance(judged(exchange("Anna lives in Lisbon now"), "Lives in Lisbon"), Fact)
    assert judged(given, "Lives in Lisbon with Anna", "moved to Lisbon") is Doubt.NAME


@pytest.mark.parametrize(
    ("said", "fact", "quote"),
    [
        ("Lisbon is fine. I moved to Lisbon with Rex. Rex loves Lisbon", "Lives in Lisbon with Rex",
         "I moved to Lisbon with Rex"),
        ("Anna here. I moved to Lisbon", "Anna lives in Lisbon", "I moved to Lisbon"),
        ("7!\nI turned 7 today", "Is 7 years old", "I turned 7 today"),
    ],
)  # fmt: skip
def test_the_first_of_the_sentences_that_carry_most_of_a_fact_is_its_quote(said: str, fact: str, quote: str) -> None:
    assert best_quote(read_said(exchange(said)), fact) == Evidence("s", 1, quote)


def test_where_no_sentence_carries_any_of_a_fact_there_is_no_quote() -> None:
    assert best_quote(read_said(exchange("I moved to Lisbon. It is fine")), "Has a dog") is None


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("I love tea, and I love Lisbon. Bye", "LOVE  lisbon", "love Lisbon"),
        ("I love tea, and I love Lisbon. Bye", "I love ... Lisbon", "I love tea, and I love Lisbon"),
        ("I love tea, and I love Lisbon. Bye", "Lisbon … tea", None),
        ("I love tea, and I love Lisbon. Bye", "I hate … Lisbon", None),
        ("I am nowhere near Graz", "I am now here", None),
        ("我住在北京", "北京", "北京"),
        ("I love tea", "a", None),
        ("I love tea", "...", None),
        ("ab " * 200, "ab " * 200, "ab " * 99 + "ab"),
        ("¯\\_(ツ)_/¯ I live in Graz", "I live in Graz", "I live in Graz"),
        ("I´m a non‑smoker", "I'm a non-smoker", "I´m a non‑smoker"),
    ],
)
def test_a_quote_is_found_where_its_words_stand_in_their_order(text: str, quote: str, found: str | None) -> None:
    evidence = find_quote(exchange(text), {1: text}, quote)

    assert evidence == (found and Evidence("s", 1, found))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("I weigh 70.5 kilos. Bye", ["I weigh 70.5 kilos.", "Bye"]),
        ("See example.org.uk, and write", ["See example.org.uk, and write"]),
        ("Why? “So.” No\nYes", ["Why?", "“So.”", "No", "Yes"]),
    ],
)
def test_a_dot_inside_a_word_or_a_number_ends_no_sentence(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "Do I like sushi?",
        "the wifi password is hunter2",
        "buy milk",
        "x",
        "?!",
        "a " * 900,
        "a long story " * 3_000,
        "Nothing but: this, and 17 other things; no",
    ],
)
def test_what_somebody_asks_to_be_kept_word_for_word_is_kept(text: str) -> None:
    kept = judged(exchange(text), text, text)

    assert isinstance(kept, Fact)
    assert kept.text == " ".join(text.split())[:800].rstrip()


@pytest.mark.parametrize("text", ["", " \n", "> a quoted line", "[memory 2026-01-01] Lives in Lisbon"])
def test_what_is_not_their_own_is_not_kept_either_when_they_ask_for_it(text: str) -> None:
    assert isinstance(judged(exchange(text), text, text), Doubt)


def test_words_around_a_quoted_line_are_kept_without_it() -> None:
    text = "> who said that\nremember that I own a boat"
    kept = judged(exchange(text), text, text)

    assert isinstance(kept, Fact)
    assert kept.text == "remember that I own a boat"
    assert kept.evidence == (Evidence("s", 1, "remember that I own a boat"),)


@pytest.mark.parametrize(
    "piece",
    [
        "“",
        "'",
        '"',
        "my ",
        "my grand",
        "grand-",
        "n't ",
        "don't",
        "no ",
        "I ",
        "1",
        "1 ",
        "1,",
        "你",
        "ー",
        "a" * 50 + ".",
        "?",
        ". ",
        ", ",
        "password ",
        "sk-",
        "eyJ",
        "4111 ",
        "DE89",
        "-----BEGIN PRIVATE KEY-----",
        "Berlin",
        "A.",
        "́",
    ],
)
def test_hostile_text_takes_time_in_proportion(piece: str) -> None:
    def judging_takes(length: int) -> float:
        began = time.process_time()
        given = exchange(piece * (length // len(piece)))
        judged(given, f"Lives in Lisbon {piece * 20}")
        build_ask(given)
        return time.process_time() - began

    # The least of some: on a busy machine one of them may take many times as long as the others.
    short, long = (min(judging_takes(length) for _ in range(4)) for length in (5_000, 20_000))

    assert long < 10 * max(short, 0.05)  # sixteen times as long if it grew with the square


@given(text=st.text(max_size=200), fact=st.text(max_size=100), quote=st.text(max_size=60))
def test_no_text_makes_it_stumble(text: str, fact: str, quote: str) -> None:
    given = exchange(text, text[::-1])

    for found in (judged(given, fact, quote), judged(given, fact), judged(given, text, text)):
        assert isinstance(found, Fact | Doubt)


@given(st.sampled_from([*KEPT, *KEPT_LATER, *KEPT_SINCE]), st.sampled_from([*KEPT, *KEPT_LATER, *KEPT_SINCE]))
def test_what_is_said_besides_takes_nothing_away(one: tuple[str, str], other: tuple[str, str]) -> None:
    both = exchange(one[0], other[0])
    first = judged(exchange(one[0]), one[1])
    assert isinstance(first, Fact)

    again = ground(read_said(both), replace(first), takes_messages=True)

    assert isinstance(again, Fact) or again is Doubt.DENIAL
