"""These tests check `memory.db`: its migrations, its modes, and that removed entries are in no byte of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from memory.errors import MemoryTooNew, MemoryUnusable
from memory.model import Daily, Deed, Lesson, Reserve
from memory.recall import Told, index
from memory.store_sqlite import looking
from memory.store_sqlite.indexing import index_entry
from memory.store_sqlite.schema import APPLICATION_ID, MIGRATIONS, connect
from memory.store_sqlite.store import open_sqlite_memory
from tests.contract.memory_stands import ANNA, BOB, NOW, daily, facts, in_sqlite, said, who

FIRST_WITHOUT_WORDS = 4
"""From this form on, the index holds numbers in place of words."""


def forms(database: sqlite3.Connection) -> set[tuple[str, str]]:
    """What tables and indexes there are, and how they are made."""
    found = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(name, " ".join(sql.split())) for name, sql in found}


def build(path: Path, version: int) -> None:
    """Make a database as that version did, with an entry in it."""
    database = sqlite3.connect(path, isolation_level=None)
    for migration in MIGRATIONS[:version]:
        database.executescript(migration)
    if version:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("INSERT INTO scope (id, person, direct) VALUES (1, ?, 1)", [ANNA])
        database.execute(
            "INSERT INTO entry VALUES (7, 1, 'daily', 'Anna', 's', 0, 0, 'an old lamp', '', 0.5, 0, 0, NULL, NULL)"
        )
        index_as(version, database)
    database.close()


def index_as(version: int, database: sqlite3.Connection) -> None:
    """Put the entry into the index as that version did."""
    if version < FIRST_WITHOUT_WORDS:
        database.execute("INSERT INTO words (rowid, scope, body) VALUES (7, 's1', 'old lamp')")
    else:
        index_entry(database, 7)


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_every_earlier_form_becomes_this_one_and_keeps_its_entries(version: int, tmp_path: Path) -> None:
    build(tmp_path / "memory.db", version)
    fresh = connect(tmp_path / "fresh.db")

    async with in_sqlite(tmp_path) as store:
        found = await store.search(who(ANNA), "lamp", 10)
        await store.learn(daily(said(1, "a new lamp")))
        again = await store.search(who(ANNA), "lamp", 10)

    migrated = sqlite3.connect(tmp_path / "memory.db")
    assert found == ((7,) if version else ())
    assert len(again) == len(found) + 1
    assert forms(migrated) == forms(fresh)
    migrated.close()
    fresh.close()


async def test_what_was_learnt_is_there_in_the_next_run(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "a lamp")))

    async with in_sqlite(tmp_path) as store:
        learnt = await store.learn(daily(said(0, "a lamp")))
        found = await store.recall(who(ANNA), "lamp", Reserve())

    assert not learnt.done
    assert [entry.text for entry in found] == ["a lamp"]


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "memory.db").touch(0o644)

    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "a lamp")))
        modes = modes_in(tmp_path)

    assert modes == {"memory.db": 0o600, "memory.db-wal": 0o600, "memory.db-shm": 0o600}


async def test_a_database_of_a_later_version_is_left_alone_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    build(path, 1)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()

    with pytest.raises(MemoryTooNew, match="install that version again"):
        async with in_sqlite(tmp_path):
            pass

    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"{}"])
async def test_what_is_no_database_is_left_alone_with_advice(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "memory.db").write_bytes(content)

    with pytest.raises(MemoryUnusable, match="check its owner, mode and disk"):
        async with in_sqlite(tmp_path):
            pass

    assert (tmp_path / "memory.db").read_bytes() == content


async def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "memory.db")
    database.execute("CREATE TABLE theirs (x)")
    database.close()

    with pytest.raises(MemoryUnusable, match="another program"):
        async with in_sqlite(tmp_path):
            pass


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", tmp_path / "memory.db")

    with pytest.raises(MemoryUnusable):
        async with in_sqlite(tmp_path):
            pass

    assert not (tmp_path / "elsewhere").exists()


async def test_a_fault_of_the_disk_is_told_in_one_sentence(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "a lamp")))
        other = sqlite3.connect(tmp_path / "memory.db")
        other.execute("DROP TABLE words")
        other.close()

        with pytest.raises(MemoryUnusable, match="check its owner"):
            await store.learn(daily(said(1, "another lamp")))

        assert len(await store.export(frozenset({ANNA}))) == 1
        assert await store.watermark(ANNA, "") == 0


def modes_in(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def test_a_fact_lends_its_neighbours_nothing_and_is_not_found_once_superseded(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "we met for lunch", session="s")))
        await store.learn(facts(said(1, "two zeppelins", session="s"), "Has two zeppelins"))
        await store.learn(daily(said(2, "we went home", session="s")))
        before = await store.search(who(ANNA), "zeppelins lunch", 10)
        learnt = await store.learn(facts(said(3, "three zeppelins", session="s"), "Has three zeppelins"))

        found = await store.search(who(ANNA), "zeppelins two", 10)

    assert set(before) == {1, 2, 3}
    assert learnt.changes[0].deed is Deed.SUPERSEDED
    assert found == (learnt.changes[0].entry,)


async def test_of_entries_that_say_the_same_the_important_and_the_new_one_stand_first(tmp_path: Path) -> None:
    text = "the green lamp stood near the window of the old kitchen"
    async with in_sqlite(tmp_path) as store:
        for seq, (importance, days) in enumerate([(0.5, 400), (1.0, 401), (0.5, 2)]):
            exchange = said(seq, text, session=f"s{seq}", days=days)
            await store.learn(Lesson(exchange, Daily(text, exchange.said[0].at, importance)))

        assert await store.search(who(ANNA), "lamp kitchen", 10) == (2, 3, 1)


async def test_words_weigh_as_much_as_in_fts5(tmp_path: Path) -> None:
    words = ["lamp", "boat", "tea", "garden", "river", "bread", "snow", "cello", "train", "stamp"]
    texts = [" ".join(words[place * step % 10] for place in range(1, 6)) for step in range(1, 8) for _ in range(4)]
    told = [Told("Anna", text, NOW) for text in texts]
    plain = sqlite3.connect(":memory:")
    plain.execute("CREATE VIRTUAL TABLE words USING fts5(body, asked, around)")
    for place, entry in enumerate(told):
        indexed = index(entry, told[max(place - 2, 0) : place][::-1], told[place + 1 : place + 3])
        columns = (indexed.body, indexed.asked, indexed.around)
        plain.execute("INSERT INTO words (rowid, body, asked, around) VALUES (?, ?, ?, ?)", (place + 1, *columns))
    async with in_sqlite(tmp_path) as store:
        for seq, text in enumerate(texts):
            await store.learn(daily(said(seq, text)))
    database = connect(tmp_path / "memory.db")

    for word in words[1:7]:
        scored = plain.execute("SELECT rowid, -bm25(words, 1, .9, .3) FROM words WHERE words MATCH ?", [word])
        found = looking.find_words(database, [1], word)

        assert found == pytest.approx(dict(scored.fetchall()))
    database.close()


async def test_neighbours_are_those_of_one_occasion(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "the zeppelin landed", days=3)))
        await store.learn(daily(said(1, "we went home")))

        assert await store.search(who(ANNA), "zeppelin", 10) == (1,)


async def test_a_question_and_its_answer_are_found_together(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        for seq, text in enumerate(
            ["Which instrument do you play these days?", "The cello, since my childhood in Graz"]
        ):
            await store.learn(daily(said(seq, text)))

        assert (await store.search(who(ANNA), "instrument", 10))[0] == 2


async def test_of_very_many_entries_the_rare_words_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MOST_ROWS", 10)
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "a lamp and a zeppelin", days=30)))
        for seq in range(1, 15):
            await store.learn(daily(said(seq, f"a lamp number{seq}", days=29 - seq)))
        await store.learn(daily(said(0, "a lamp of Bob's with a zeppelin", BOB)))

        both = await store.search(who(ANNA), "lamp zeppelin", 30)
        common = await store.search(who(ANNA), "lamp", 30)

    assert both == (1,)
    assert len(common) == 11
    assert 1 not in common


async def test_what_others_have_changes_no_weight(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        for seq, text in enumerate(["a lamp and a boat", "a boat and bread", "bread and wine"]):
            await store.learn(daily(said(seq, text)))
        database = connect(tmp_path / "memory.db")
        alone = looking.find_words(database, [1], "boat bread")
        for seq in range(20):
            await store.learn(daily(said(seq, "a boat of Bob's with bread", BOB)))

        assert looking.find_words(database, [1], "boat bread") == alone
        database.close()


async def test_a_text_may_hold_any_character_but_nul(tmp_path: Path) -> None:
    text = 'a lamp \x01 with "quotes" \\ and \u2028 lines\n'
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, text)))

        assert [entry.text for entry in await store.recall(who(ANNA), "lamp", Reserve())] == [text]


async def test_what_is_cut_off_while_it_is_written_is_written_whole(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await store.learn(daily(said(0, "a lamp")))

    async with in_sqlite(tmp_path) as store:
        assert await store.watermark(ANNA, "") in (None, 0)
        assert len(await store.export(frozenset({ANNA}))) == (await store.watermark(ANNA, "") is not None)


async def test_without_a_path_it_ends_with_the_process(tmp_path: Path) -> None:
    async with open_sqlite_memory(None, lambda: NOW) as store:
        await store.learn(Lesson(said(0, "x"), Daily("a lamp", NOW)))
        erased = await store.erase(frozenset({ANNA}))

    assert erased.entries == 1
    assert modes_in(tmp_path) == {}
