"""These tests check a memory on a PostgreSQL that several processes share."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from memory.errors import MemoryTooNew, MemoryUnusable
from memory.model import Deed, Reserve
from memory.opening import open_memory
from memory.ports import MemoryStore
from memory.store_postgres import server as module
from memory.store_postgres.schema import MIGRATIONS
from tests.contract.memory_stands import ANNA, BOB, NOW, daily, facts, postgres, said, who
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]


async def ask(url: SecretStr, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url.get_secret_value(), autocommit=True) as connection:
        cursor = await connection.execute(query.encode())
        return await cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def opened(url: SecretStr) -> AsyncIterator[MemoryStore]:
    async with open_memory(url, lambda: NOW) as store:
        yield store


async def test_an_outage_is_told_while_it_lasts_and_is_over_with_it(postgres: PostgresServer) -> None:
    async with opened(postgres.new_database()) as store:
        await store.learn(daily(said(0, "a lamp")))
        postgres.stop()
        try:
            for _ in range(2):
                with pytest.raises(MemoryUnusable, match="no connection to the server"):
                    await store.learn(daily(said(1, "a second lamp")))
                with pytest.raises(MemoryUnusable, match="no connection to the server"):
                    await store.recall(who(ANNA), "lamp", Reserve())
        finally:
            postgres.start()
        learnt = await store.learn(daily(said(1, "a second lamp")))
        found = await store.recall(who(ANNA), "lamp", Reserve())

    assert learnt.done
    assert {entry.text for entry in found} == {"a lamp", "a second lamp"}


async def test_connections_that_the_server_ended_are_made_anew_unnoticed(postgres: PostgresServer) -> None:
    async with opened(postgres.new_database()) as store:
        await store.learn(daily(said(0, "a lamp")))
        postgres.stop()
        postgres.start()

        assert await store.watermark(ANNA, "") == 0


async def test_two_that_learn_the_same_range_at_once_write_it_once(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with opened(url) as one, opened(url) as other:
        for seq in range(10):
            lesson = replace(facts(said(seq, f"item{seq}"), f"Has item{seq}"), daily=daily(said(seq, "x")).daily)
            async with asyncio.TaskGroup() as tasks:
                both = [tasks.create_task(store.learn(lesson), name="learning") for store in (one, other, one)]
            assert sorted(task.result().done for task in both) == [False, False, True]
        entries = await one.export(frozenset({ANNA}))

    assert len(entries) == 20
    assert len({entry.id for entry in entries}) == 20


async def test_two_that_hear_the_same_fact_at_once_keep_it_once(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with opened(url) as one, opened(url) as other:
        async with asyncio.TaskGroup() as tasks:
            both = [
                tasks.create_task(store.learn(facts(said(0, "my cat", session=name), "Has a cat")), name="learning")
                for store, name in ((one, "here"), (other, "there"))
            ]
        deeds = sorted(task.result().changes[0].deed for task in both)
        [fact] = await one.listed(who(ANNA), None, 10)

    assert deeds == [Deed.ADDED, Deed.KNOWN]
    assert len(fact.evidence) == 2


async def test_people_are_erased_while_others_write_and_vectors_come_in(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with opened(url) as one, opened(url) as other:
        for seq in range(20):
            await one.learn(daily(said(seq, f"word {seq}")))
        wanted = await other.without_vector("model", 100)
        async with asyncio.TaskGroup() as tasks:
            vectors = [(entry, b"\0" * 8) for entry, _ in reversed(wanted)]
            tasks.create_task(other.keep_vectors("model", vectors), name="vectors")
            erasing = tasks.create_task(one.erase(frozenset({ANNA})), name="erasing")
            for seq in range(20):
                tasks.create_task(other.learn(daily(said(0, f"of Bob {seq}", BOB, session=str(seq)))), name="learning")
        left = await ask(url, "SELECT count(*) FROM agentd_memory_vector")
        bobs = await other.export(frozenset({BOB}))

    assert (erasing.result().entries, erasing.result().remaining) == (20, ())
    assert left == [(0,)]
    assert len(bobs) == 20


@pytest.mark.parametrize("after_seconds", [0.0, 0.002, 0.005, 0.01])
async def test_what_is_cut_off_while_it_is_written_is_whole_or_not_there(
    postgres: PostgresServer, after_seconds: float
) -> None:
    async with opened(postgres.new_database()) as store:
        with suppress(TimeoutError):
            async with asyncio.timeout(after_seconds):
                for seq in range(100):
                    await store.learn(facts(said(seq, f"item{seq}"), f"Has item{seq}"))
        last = await store.watermark(ANNA, "")
        entries = await store.export(frozenset({ANNA}))

    assert len(entries) == (0 if last is None else last + 1)
    assert all(entry.evidence for entry in entries)


async def test_a_call_ends_when_the_server_takes_too_long(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.new_database()
    async with opened(url) as store:
        async with await psycopg.AsyncConnection.connect(url.get_secret_value()) as blocking:
            await blocking.execute("LOCK TABLE agentd_memory_learnt IN ACCESS EXCLUSIVE MODE")
            monkeypatch.setattr(module, "CALL_SECONDS", 0.2)
            with pytest.raises(MemoryUnusable, match="took longer"):
                await store.watermark(ANNA, "")
            monkeypatch.undo()

        assert await store.watermark(ANNA, "") is None


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
async def test_every_earlier_form_becomes_this_one_and_keeps_its_entries(
    postgres: PostgresServer, version: int
) -> None:
    old, fresh = postgres.new_database(), postgres.new_database()
    await build(old, version)

    async with opened(old) as store, opened(fresh):
        found = await store.recall(who(ANNA), "lamp", Reserve())
        learnt_from = await store.watermark("s", "")
        await store.learn(daily(said(1, "a new lamp")))
        again = await store.recall(who(ANNA), "lamp", Reserve())

    assert [entry.text for entry in found] == (["an old lamp"] if version else [])
    assert learnt_from == (4 if version else None)
    assert len(again) == len(found) + 1
    assert await form(old) == await form(fresh)


async def build(url: SecretStr, version: int) -> None:
    """Make the tables as that version did, with an entry in them."""
    if not version:
        return
    for migration in MIGRATIONS[:version]:
        await ask(url, migration)
    await ask(
        url,
        f"""
        CREATE TABLE agentd_memory_form (number integer NOT NULL);
        INSERT INTO agentd_memory_form VALUES ({version});
        INSERT INTO agentd_memory_scope (person, direct) VALUES ('{ANNA}', true);
        INSERT INTO agentd_memory_entry
            (scope, kind, author, session, first, last, text, about, importance, created, happened)
            VALUES (1, 'daily', 'Anna', 's', 4, 4, 'an old lamp', '', 0.5, 0, 0);
        INSERT INTO agentd_memory_words VALUES (1, 1, 2, '{{"old": 1, "lamp": 1, " 1": 0}}');
        INSERT INTO agentd_memory_learnt VALUES ('s', '', '{ANNA}', 0, 4);
        """,  # noqa: S608
    )


async def form(url: SecretStr) -> list[tuple[object, ...]]:
    """Return what tables and indexes there are, and how they are made."""
    columns = await ask(
        url,
        "SELECT attrelid::regclass::text, attname, atttypid::regtype::text, attnotnull, attstattarget, attstorage"
        " FROM pg_attribute WHERE attnum > 0 AND attrelid::regclass::text LIKE 'agentd_memory%' ORDER BY 1, 2",
    )
    indexes = await ask(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    numbers = await ask(url, "SELECT number FROM agentd_memory_form")
    return [*columns, *indexes, *numbers]


async def test_tables_of_a_later_version_are_left_alone_with_advice(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with opened(url):
        pass
    await ask(url, "UPDATE agentd_memory_form SET number = 99")
    before = await form(url)

    with pytest.raises(MemoryTooNew, match="install that version here too"):
        async with opened(url):
            pass

    assert await form(url) == before


async def test_the_tables_are_made_once_however_many_begin(postgres: PostgresServer) -> None:
    url = postgres.new_database()

    async def begin() -> None:
        async with opened(url) as store:
            await store.watermark(ANNA, "")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(begin(), name="beginning")

    assert await ask(url, "SELECT number FROM agentd_memory_form") == [(len(MIGRATIONS),)]


async def test_a_database_in_which_not_every_script_fits_is_refused(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    narrow = SecretStr(re.sub("/tasks_[a-z0-9]+", "/narrow", url.get_secret_value()))
    await ask(url, "CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(MemoryUnusable, match="LATIN1"):
            async with opened(narrow):
                pass
    finally:
        await ask(url, "DROP DATABASE narrow")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://agentd:hunter2@/x?host=/nowhere",
        "postgresql://agentd:hunter2@127.0.0.1:1/x",
        "postgresql://agentd:hunter2@h:port/x",
        "postgresql://a:hunter2@h/x?y=z",
        "postgresql://a:pass@hunter2@h/x",
        "postgresql://a:hunter2/pass@h/x",
        "postgresql://a:12/hunter2@h/x",
        "postgresql://a:hunter2?pass@h/x",
    ],
)
async def test_a_server_that_cannot_be_had_is_one_plain_sentence_without_the_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0)

    with pytest.raises(MemoryUnusable, match=r"storage\.url") as raised:
        async with opened(SecretStr(url)):
            pass

    assert "hunter2" not in f"{raised.value} {raised.value.__cause__}"
    assert "\n" not in str(raised.value)


async def test_whom_the_server_does_not_let_in_learns_why(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0)
    url = postgres.new_database().get_secret_value().replace("//postgres@", "//nobody:hunter2@")

    with pytest.raises(MemoryUnusable, match='role "nobody" does not exist') as raised:
        async with opened(SecretStr(url)):
            pass

    assert "hunter2" not in str(raised.value)


def test_who_keeps_memory_in_a_file_does_not_load_the_driver() -> None:
    loaded = "import sys, memory.opening; sys.exit(bool({'psycopg', 'numpy'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


async def test_a_server_can_be_reached_without_a_table_being_made(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    await module.reach_server(url, 10)

    assert await ask(url, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'agentd%'") == [(0,)]


async def test_a_user_who_may_not_make_tables_is_told_before_the_daemon_would_need_them(
    postgres: PostgresServer,
) -> None:
    url = postgres.new_database()
    await ask(url, f"CREATE ROLE newcomer_{uuid4().hex[:8]} LOGIN")
    [(role,)] = await ask(url, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'newcomer%' ORDER BY oid DESC LIMIT 1")
    await ask(url, "REVOKE CREATE ON SCHEMA public FROM public")
    theirs = SecretStr(url.get_secret_value().replace("postgres@", f"{role}@").replace("user=postgres", f"user={role}"))

    with pytest.raises(MemoryUnusable, match=r"storage\.url: its user may not make tables"):
        await module.reach_server(theirs, 10)
    async with opened(url):
        await module.reach_server(theirs, 10)
