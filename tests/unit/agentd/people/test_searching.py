"""These tests check the search after an erasure: a text or an id is found however it is written."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.people.needles import SHORTEST_BYTES, Needles
from agentd.people.searching import SPAN_BYTES, Left, Sought, search
from tests.unit.agentd.transcript.building import CALM

SENDER = "telegram:700001"
LONG = "a long text about a violet umbrella, " * 400

texts = st.text(min_size=1, max_size=600).filter(lambda text: len(text.encode()) >= SHORTEST_BYTES)
ways = st.sampled_from(
    [
        lambda text: text,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: json.dumps(json.dumps({"said": [text]})),
    ]
)


def look(folder: Path, *wanted: str, senders: tuple[str, ...] = (SENDER,)) -> Left:
    return search(folder, Sought(frozenset(senders), frozenset(wanted)))


@CALM
@given(texts, ways, st.binary(max_size=40), st.binary(max_size=40))
def test_a_text_is_found_wherever_it_stands_and_however_it_is_written(text, way, before, after) -> None:  # type: ignore[no-untyped-def]
    found = Needles((), [text, "another text that is not there \u2603"]).find_texts(before + way(text).encode() + after)

    assert text in found


@CALM
@given(texts, ways, st.binary(max_size=40))
def test_a_text_among_many_short_ones_is_found_too(text, way, before) -> None:  # type: ignore[no-untyped-def]
    needles = Needles((), [text, *(f"word {number:05}" for number in range(200))])

    assert needles.find_texts(before + way(text).encode() + b" word 00123") == {text, "word 00123"}


@CALM
@given(st.lists(texts, max_size=5), st.binary(max_size=300))
def test_what_is_not_there_is_not_found(wanted: list[str], content: bytes) -> None:
    found = Needles((), wanted).find_texts(content)

    assert all(text.encode()[:256] in content or json.dumps(text)[1:9].encode() in content for text in found)


@pytest.mark.parametrize(
    ("sender", "content", "is_found"),
    [
        (SENDER, '{"id":"700001","name":"x"}', True),
        (SENDER, '{\\"id\\":\\"700001\\"}', True),
        (SENDER, "telegram700001Ada", True),
        (SENDER, "a telegram:700001 b", True),
        (SENDER, "1700001 7000012", False),
        ("telegram:7", '{"id":"7"}', True),
        ("telegram:7", "session telegram~bot~7~~7", True),
        ("telegram:7", "session telegram~bot~70~~70 of 7 telegram:77", False),
        ("slack:U123ABCDE", "slackU123ABCDEAda", True),
        ("slack:U123ABCDE", "slack~t1~c1~~+u123+a+b+c+d+e", True),
        ("slack:U123ABCDE", "slack~t1~c1~~+u123+a+b+c+d+e+f", False),
    ],
)
def test_an_id_is_found_where_one_is_written(sender: str, content: str, is_found: bool) -> None:
    assert Needles([sender], ()).has_id(content.encode()) is is_found


def test_a_text_over_the_end_of_a_span_is_found(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (SPAN_BYTES - 9) + b"a violet umbrella" + b"x" * SPAN_BYTES)

    assert look(tmp_path, "a violet umbrella").remaining == ("big: 1 of their texts",)


def test_a_database_is_searched_by_bytes_with_its_journal_and_by_rows(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "some.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (id INTEGER, text TEXT)")
        connection.execute("INSERT INTO kept VALUES (1, ?)", [LONG])
        left = look(tmp_path, LONG)

    assert left.remaining == ("some.db-wal: 1 of their texts", "some.db: 1 of their texts")


def test_a_text_that_was_deleted_is_found_in_the_free_pages(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "some.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE kept (text TEXT)")
        connection.execute("INSERT INTO kept VALUES (?)", [LONG])
        connection.execute("DELETE FROM kept")
        before = look(tmp_path, LONG)
        connection.execute("VACUUM")
        after = look(tmp_path, LONG)

    assert before.remaining == ("some.db: 1 of their texts",)
    assert after.remaining == ()


def test_what_is_called_a_database_and_is_none_is_searched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("a violet umbrella")

    assert look(tmp_path, "a violet umbrella").remaining == ("notes.db: 1 of their texts",)


def test_short_texts_are_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")

    assert look(tmp_path, "hello", "").remaining == ()
