"""These tests check that what was removed from `memory.db` is in no byte of it, and that leftovers are reported."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.contract.memory_stands import ANNA, BOB, daily, facts, in_sqlite, said, who


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_what_was_erased_is_in_no_byte_of_the_files(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        for seq in range(40):
            await store.learn(daily(said(seq, f"xylophone{seq} zeppelin lessons")))
            await store.learn(daily(said(seq, f"Bob talks of tea {seq}", BOB)))
        await store.learn(facts(said(50, "my quagmire"), "Has a quagmire"))
        there = bytes_of(tmp_path)

        erased = await store.erase(frozenset({ANNA}))
        left = bytes_of(tmp_path)
        found = await store.search(who(BOB), "tea", 100)

    assert all(word in there for word in (b"xylophone", b"zeppelin", b"quagmire", ANNA.encode()))
    assert not any(word in left for word in (b"xylophone", b"zeppelin", b"quagmir", ANNA.encode()))
    assert (erased.entries, erased.remaining) == (41, ())
    assert len(found) == 40


async def test_what_was_forgotten_is_in_no_byte_of_the_files_nor_in_its_neighbours_index(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        for seq, text in enumerate(["we met for lunch", "the zeppelin landed", "we went home"]):
            await store.learn(daily(said(seq, text)))
        near = await store.search(who(ANNA), "zeppelin", 10)
        await store.forget(who(ANNA), 2)

        found = await store.search(who(ANNA), "zeppelin", 10)
        left = bytes_of(tmp_path)

    assert near[0] == 2
    assert set(near) == {1, 2, 3}
    assert found == ()
    assert b"zeppelin" not in left


async def test_the_index_holds_no_word(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "the zeppelin landed")))
        other = sqlite3.connect(tmp_path / "memory.db")
        other.execute("PRAGMA secure_delete = ON")
        other.execute("UPDATE entry SET text = ''")
        other.commit()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()

        found = await store.search(who(ANNA), "zeppelin", 10)
        left = bytes_of(tmp_path)

    assert found == (1,)
    assert b"zeppelin" not in left


async def test_a_copy_of_what_is_forgotten_that_a_page_kept_goes_too(tmp_path: Path) -> None:
    text = "the zeppelin landed at noon near the old lake"
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, text)))
        other = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
        other.execute("PRAGMA secure_delete = OFF")
        other.execute("CREATE TABLE moved AS SELECT text FROM entry")
        other.execute("DROP TABLE moved")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        copies = bytes_of(tmp_path).count(text.encode())

        await store.forget(who(ANNA), 1)

        assert copies > 1
        assert text.encode() not in bytes_of(tmp_path)


async def test_a_neighbour_that_was_forgotten_leaves_nothing_that_it_lent(tmp_path: Path) -> None:
    async with in_sqlite(made(tmp_path / "a")) as with_it, in_sqlite(made(tmp_path / "b")) as without:
        for seq, text in enumerate(["we met for lunch", "we went home by train", "the zeppelin landed"]):
            await with_it.learn(daily(said(seq, text)))
            if "zeppelin" not in text:
                await without.learn(daily(said(seq, text)))
        await with_it.forget(who(ANNA), 3)
        for store in (with_it, without):
            await store.learn(daily(said(9, "the train was late")))

    assert counts_in(tmp_path / "a") == counts_in(tmp_path / "b")


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def counts_in(folder: Path) -> list[tuple[int, ...]]:
    """What is kept to weigh words by: of the scope, then of each entry."""
    database = sqlite3.connect(folder / "memory.db")
    scope = database.execute("SELECT entries, words FROM scope").fetchall()
    entries = database.execute("SELECT told, total, length(numbers) FROM placed ORDER BY place").fetchall()
    [words] = database.execute("SELECT count(*), sum(told) FROM words").fetchall()
    database.close()
    return [*scope, *entries, words]


async def test_an_erasure_reports_what_somebody_put_where_it_does_not_belong(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "the zeppelin landed at noon")))
        other = sqlite3.connect(tmp_path / "memory.db")
        other.execute("CREATE TABLE notes AS SELECT text FROM entry")
        other.close()

        erased = await store.erase(frozenset({ANNA}))

    assert erased.remaining == ("memory.db: 1 texts in its bytes",)


async def test_an_erasure_reports_short_texts_by_the_row_that_holds_them(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.learn(facts(said(0, "I like tea"), "Likes tea", about="drink"))
        other = sqlite3.connect(tmp_path / "memory.db")
        other.execute("CREATE TABLE notes (a, b)")
        other.execute("INSERT INTO notes VALUES (1, 'Likes tea'), (2, 'drink'), (3, 'drinks'), (4, 'I like tea')")
        other.commit()
        other.close()

        erased = await store.erase(frozenset({ANNA}))

    assert erased.remaining == ("memory.db: 3 rows in notes",)


async def test_an_erasure_reports_an_id_but_not_a_longer_one_that_begins_like_it(tmp_path: Path) -> None:
    longer = f"{ANNA}2"
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, "a lamp")))
        await store.learn(daily(said(0, "a lamp", longer)))
        clean = await store.erase(frozenset({ANNA}))
        await store.learn(daily(said(0, "a lamp")))
        other = sqlite3.connect(tmp_path / "memory.db")
        other.execute("CREATE TABLE notes AS SELECT 'from ' || person FROM scope WHERE person = ?", [ANNA])
        other.close()
        found = await store.erase(frozenset({ANNA}))

    assert (clean.remaining, clean.elsewhere) == ((), 1)
    assert found.remaining == ("memory.db: 1 texts in its bytes",)


async def test_what_others_said_word_for_word_is_told_and_stays(tmp_path: Path) -> None:
    text = "the zeppelin landed at noon near the lake"
    async with in_sqlite(tmp_path) as store:
        await store.learn(daily(said(0, text)))
        await store.learn(daily(said(1, "only Anna saw the second one of them")))
        await store.learn(daily(said(0, text, BOB)))
        await store.learn(daily(said(1, f"Anna wrote: only Anna saw the second one of them, {ANNA}", BOB)))

        erased = await store.erase(frozenset({ANNA}))

        assert (erased.entries, erased.remaining, erased.elsewhere) == (2, (), 1)
        assert len(await store.export(frozenset({BOB}))) == 2
