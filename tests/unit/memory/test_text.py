"""These tests check words, dates and word pieces."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.embeddings.wordpiece import MOST_PIECES, encode
from memory.text.dates import asks_when, date_words, is_question, speaks_of_time
from memory.text.lemmas import LEMMAS
from memory.text.stemming import stem
from memory.text.words import MOST_TERMS, count_subjects, index_terms, index_text, indexed_terms, query_terms, stems

ENGLISH = """
caresses ponies ties caress cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned
falling hissing fizzed failing filing happy sky relational conditional rational valenci hesitanci digitizer conformabli
radicalli differentli vileli analogousli vietnamization predication operator feudalism decisiveness hopefulness
callousness enjoyment deployment proceed guaranteed
formaliti sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival
allowance inference airliner gyroscopic adjustable
defensible irritant replacement adjustment dependent adoption
homologou communism activate angulariti homologous effective bowdlerize probate rate cease controll roll yes by a
syzygy toying eyed apology geology yacht being dyed
activated organized styling typed yoked sized confusion decision recycled feed
"""


def test_words_lose_the_endings_that_sqlite_takes_off_too() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize = 'porter unicode61')")
    database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'instance')")
    words = ENGLISH.split()
    database.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", enumerate(words))

    theirs = dict(database.execute("SELECT doc, term FROM v"))

    assert [stem(word) for word in words] == [theirs[place] for place in range(len(words))]
    database.close()


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", max_size=15))
def test_any_word_has_a_stem_that_is_no_longer(word: str) -> None:
    assert len(stem(word)) <= len(word) + 1
    assert bool(stem(word)) == bool(word)


def test_forms_of_a_word_are_one_word() -> None:
    assert len({index_text(word) for word in ("buy", "bought", "buying", "buys")}) == 1
    assert len({index_text(word) for word in ("went", "go", "goes", "gone", "going")}) == 1
    assert index_text("Mel's children") == index_text("mel child")


def test_no_form_stands_for_two_words() -> None:
    assert not set(LEMMAS) & set(LEMMAS.values())


def test_words_without_a_subject_are_not_asked_for() -> None:
    assert query_terms("What was it?") == []
    assert query_terms("in May") == [("mai",)]
    assert query_terms("What was the lamp?") == [("lamp",)]
    assert query_terms("?!") == []


def test_chinese_is_asked_for_two_by_two_and_indexed_one_by_one() -> None:
    assert query_terms("北京烤鸭 a lamp") == [("北", "京"), ("京", "烤"), ("烤", "鸭"), ("lamp",)]
    assert query_terms("鸭") == [("鸭",)]
    assert index_text("北京lamp") == "北 京 lamp"


def test_marks_are_dropped_from_letters_and_kept_where_they_make_another_character() -> None:
    assert index_text("Café Ёж") == "cafe еж"
    assert index_text("がか 서울") == "が か 서 울"


@given(st.text(max_size=300))
def test_whatever_is_asked_is_cut_into_words_that_the_index_of_the_same_text_has(text: str) -> None:
    indexed = f" {index_text(text)} "
    terms = query_terms(text)

    assert len(terms) <= MOST_TERMS
    assert all(f" {' '.join(term)} " in indexed for term in terms)
    assert all(word and not word.isspace() for word in stems(text))


def test_words_that_carry_a_subject_are_counted() -> None:
    assert count_subjects("Oh, that is a lamp and it was green!") == 3
    assert count_subjects("昨天我去了") == 5
    assert count_subjects("lamp " * 1000) == 40


def test_a_date_is_that_of_utc() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-2)))

    assert date_words(late) == "2 March 2026"
    assert date_words(datetime(2023, 5, 8, tzinfo=UTC)) == "8 May 2023"


@pytest.mark.parametrize(
    "question", ["When did we meet?", "In which month was it?", "how long is it", "你什么时候去的？"]
)
def test_a_question_for_a_time_is_known_as_one(question: str) -> None:
    assert asks_when(question)
    assert is_question(question) == (question != "how long is it")


def test_other_questions_ask_for_no_time() -> None:
    assert not asks_when("Who was there, and when?")
    assert speaks_of_time("We met last Friday.")
    assert not speaks_of_time("The Mayor was fast.")


PIECES = ["[CLS]", "[SEP]", "[UNK]", "cafe", "un", "##aff", "##able", "北", "京", "!", "a"]
VOCABULARY = {piece: number for number, piece in enumerate(PIECES)}


def test_words_are_cut_into_the_longest_pieces_that_are_known() -> None:
    assert encode("Café unaffable! 北京", VOCABULARY) == [0, 3, 4, 5, 6, 9, 7, 8, 1]
    assert encode("unx " + "a" * 101, VOCABULARY) == [0, 2, 2, 1]
    assert encode("", VOCABULARY) == [0, 1]
    assert len(encode("a " * 1000, VOCABULARY)) == MOST_PIECES


def test_an_index_has_each_word_and_of_scripts_without_blanks_each_character_and_each_pair() -> None:
    text = "The green lamps 東京都 a"

    assert index_terms(text) == [("green",), ("lamp",), ("東",), ("京",), ("都",), ("東", "京"), ("京", "都")]
    assert set(indexed_terms(index_text(text))) == set(index_terms(text))
    assert indexed_terms("東 lamp 京") == [("東",), ("lamp",), ("京",)]


def test_a_date_is_told_as_of_utc(far_from_utc: None) -> None:
    late = datetime(2026, 5, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))

    assert date_words(late) == "30 April 2026"


@pytest.mark.parametrize("text", ["Why?", "Why?) \n", "“Why?”", "为什么？", "'why?'\t", 'She said: "Why?"'])
def test_a_question_ends_by_asking_whatever_closes_behind_it(text: str) -> None:
    assert is_question(text)
    assert not is_question(text + "X")
    assert not is_question("?" + text.replace("?", "").replace("？", ""))
