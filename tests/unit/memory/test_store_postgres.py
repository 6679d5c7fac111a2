"""These tests check memory in PostgreSQL: leftovers of removed entries, and searches among very many entries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from struct import pack

import psycopg
import pytest
from pydantic import SecretStr

from memory.model import Reserve
from memory.opening import open_memory
from memory.ports import MemoryStore
from memory.store_postgres import looking, removing
from tests.contract.memory_stands import ANNA, BOB, NOW, daily, facts, in_postgres, in_sqlite, postgres, said, who
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]


def bytes_of(url: SecretStr) -> bytes:
    """Return all bytes of the database's files, as they are on disk."""
    with psycopg.connect(url.get_secret_value(), autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
        [(folder, number)] = connection.execute(
            "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        ).fetchall()
    return b"".join(path.read_bytes() for path in Path(folder, "base", str(number)).iterdir())


async def test_what_was_erased_is_in_no_byte_of_the_databases_files(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with open_memory(url, lambda: NOW) as store:
        for seq in range(40):
            await store.learn(daily(said(seq, f"xylophone{seq} zeppelin lessons")))
            await store.learn(daily(said(seq, f"Bob talks of tea {seq}", BOB)))
        await store.learn(facts(said(50, "my quagmire"), "Has a quagmire"))
        there = bytes_of(url)

        erased = await store.erase(frozenset({ANNA}))
        left = bytes_of(url)
        found = await store.search(who(BOB), "tea", 100)

    assert all(word in there for word in (b"xylophone", b"zeppelin", b"quagmir", ANNA.encode()))
    assert not any(word in left for word in (b"xylophone", b"zeppelin", b"quagmir", ANNA.encode()))
    assert (erased.entries, erased.remaining) == (41, ())
    assert len(found) == 40


@pytest.mark.parametrize(
    ("level", "query", "tables"),
    [
        ("READ COMMITTED", "SELECT * FROM agentd_memory_entry", {"agentd_memory_entry"}),
        (
            "REPEATABLE READ",
            "SELECT 1",
            {"agentd_memory_entry", "agentd_memory_scope", "agentd_memory_learnt", "agentd_memory_words"},
        ),
    ],
)
async def test_an_erasure_tells_what_somebody_elses_transaction_still_holds(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, level: str, query: str, tables: set[str]
) -> None:
    monkeypatch.setattr(removing, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(removing, "PAUSE_SECONDS", 0.01)
    url = postgres.new_database()
    async with (
        open_memory(url, lambda: NOW) as store,
        await psycopg.AsyncConnection.connect(url.get_secret_value()) as backup,
    ):
        await store.learn(daily(said(0, "the zeppelin landed at noon")))
        await backup.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        await backup.execute(query.encode())
        erased = await store.erase(frozenset({ANNA}))
        there = bytes_of(url)
        await backup.rollback()
        again = await store.erase(frozenset({ANNA}))
        left = bytes_of(url)

    assert {told.split(",")[0].removeprefix("PostgreSQL: ") for told in erased.remaining} == tables
    assert again.remaining == ()
    assert b"zeppelin" in there
    assert b"zeppelin" not in left


async def test_what_was_forgotten_is_in_no_row_nor_in_its_neighbours_index(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with open_memory(url, lambda: NOW) as store:
        for seq, text in enumerate(["we met for lunch", "the zeppelin landed", "we went home"]):
            await store.learn(daily(said(seq, text)))
        near = await store.search(who(ANNA), "zeppelin", 10)
        await store.forget(who(ANNA), near[0])
        found = await store.search(who(ANNA), "zeppelin", 10)
    with psycopg.connect(url.get_secret_value()) as connection:
        left = connection.execute("SELECT terms::text FROM agentd_memory_words").fetchall()

    assert len(near) == 3
    assert found == ()
    assert len(left) == 2
    assert "zeppelin" not in str(left)


async def test_neighbours_are_those_of_one_occasion(postgres: PostgresServer) -> None:
    async with open_memory(postgres.new_database(), lambda: NOW) as store:
        await store.learn(daily(said(0, "the zeppelin landed", days=3)))
        await store.learn(daily(said(1, "we went home")))

        assert len(await store.search(who(ANNA), "zeppelin", 10)) == 1


async def test_of_very_many_entries_the_rare_words_decide(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MOST_ROWS", 10)
    async with open_memory(postgres.new_database(), lambda: NOW) as store:
        await store.learn(daily(said(0, "a lamp and a zeppelin", days=30)))
        for seq in range(1, 15):
            await store.learn(daily(said(seq, f"a lamp number{seq}", days=29 - seq)))
        await store.learn(daily(said(0, "a lamp of Bob's with a zeppelin", BOB)))
        both = await texts(store, "lamp zeppelin")
        common = await texts(store, "lamp")

    assert both == ["a lamp and a zeppelin"]
    assert len(common) == 11
    assert "a lamp and a zeppelin" not in common


async def texts(store: MemoryStore, question: str) -> list[str]:
    entries = [await store.why(who(ANNA), entry) for entry in await store.search(who(ANNA), question, 30)]
    return [entry.text for entry in entries if entry is not None]


SAYINGS = [
    "Which instrument do you play these days?",
    "The cello, since my childhood in Graz",
    "We took the night train to Vienna and played cards",
    "The train was late, the cello got wet, the cards too",
    "昨天我去了北京烤鸭店吃饭",
    "My sister plays in an orchestra in Vienna",
]
QUESTIONS = [
    "Who plays the cello?",
    "train to Vienna",
    "the cards on the night train",
    "烤鸭",
    "instrument",
    "Graz 2026",
]


async def test_the_order_of_what_is_found_is_that_of_sqlite(postgres: PostgresServer, tmp_path: Path) -> None:
    orders = []
    for opening in (in_sqlite, in_postgres(postgres)):
        async with opening(tmp_path) as store:
            for seq, text in enumerate(SAYINGS):
                await store.learn(daily(said(seq, text)))
            orders.append([await texts(store, question) for question in QUESTIONS])

    assert orders[0] == orders[1]
    assert all(orders[0])


async def test_very_long_words_and_texts_are_found(postgres: PostgresServer) -> None:
    word = "x" * 5000
    async with open_memory(postgres.new_database(), lambda: NOW) as store:
        await store.learn(daily(said(0, "short")))
        await store.learn(daily(said(1, " ".join(f"word{n}" for n in range(30_000)) + f" {word} 烤鸭")))

        found = [await texts(store, question) for question in (word, "word29999", "烤鸭")]

    assert [len(each) for each in found] == [2, 2, 2]


class Compass:
    """Vectors of two numbers: north for what is of music, east for all else."""

    name = "compass"

    async def embed(self, given: Sequence[str]) -> list[bytes]:
        """Return where each text lies."""
        return [pack("<2f", *((1.0, 0.0) if {"cello", "tune"} & set(text.split()) else (0.0, 1.0))) for text in given]


@pytest.mark.skipif(find_spec("numpy") is None, reason="the extra `embeddings` is not installed")
@pytest.mark.parametrize("place", ["sqlite", "postgres"])
async def test_what_is_like_a_question_in_meaning_alone_is_found(
    place: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    location = tmp_path / "memory.db" if place == "sqlite" else postgres.new_database()
    compass = Compass()
    async with open_memory(location, lambda: NOW, compass) as store:
        for days, text in enumerate(["a dog in the park", "a cello in the park"]):
            await store.learn(daily(said(days, text, days=9 * days)))
        without = await store.recall(who(ANNA), "which tune", Reserve())
        wanted = await store.without_vector("compass", 10)
        vectors = await compass.embed([text for _, text in wanted])
        await store.keep_vectors("compass", list(zip([entry for entry, _ in wanted], vectors, strict=True)))
        first = await store.recall(who(ANNA), "which tune", Reserve())
        await store.forget(who(ANNA), first[0].id)
        second = await store.recall(who(ANNA), "which tune", Reserve())

    assert without == ()
    assert first[0].text == "a cello in the park"
    assert [entry.text for entry in second] == ["a dog in the park"]
