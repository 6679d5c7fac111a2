"""These tests check tasks on a PostgreSQL that several workers share, with procrastinate's own connector."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import psycopg
import pytest
from pydantic import SecretStr

from agentd.errors import ConfigError, StorageError
from agentd.tasks import postgres as module
from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Cleared, Leaving, Order
from tests.contract.task_stands import QUICK, LocationStand, Log, now, postgres, until, until_dead, until_empty
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]


STALE_SECONDS = 1.5


async def ask(url: SecretStr, query: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url.get_secret_value(), autocommit=True) as connection:
        cursor = await connection.execute(query)
        return await cursor.fetchall() if cursor.description else []


async def outlive_staleness(url: SecretStr) -> None:
    """Wait until every worker that is left has said that it lives, for longer than it may be silent."""
    [[first]] = await ask(url, "SELECT now()")
    query = (
        f"SELECT min(last_heartbeat) > '{first}'::timestamptz + interval '{STALE_SECONDS} s'"  # noqa: S608
        " FROM procrastinate_workers WHERE last_heartbeat > now() - interval '1 minute'"
    )
    async with asyncio.timeout(20):
        while (await ask(url, query)) != [(True,)]:  # noqa: ASYNC110 - a database has no event for it
            await asyncio.sleep(0.05)


async def test_two_workers_share_the_tasks_and_keep_a_sessions_order(postgres: PostgresServer) -> None:
    url, log = postgres.new_database(), Log()
    timing = replace(QUICK, sweep_seconds=10)  # a task that a busy machine begins late is no lost one
    place = LocationStand(url)
    async with place.work(log, timing, concurrency=2) as queue, place.work(log, timing, concurrency=2):
        for n in range(20):
            await queue.defer(Order("note", {"n": n}, f"session {n % 2}"))
        await until_empty(queue)

    assert [n for n in log.done if n % 2] == list(range(1, 20, 2))
    assert [n for n in log.done if not n % 2] == list(range(0, 20, 2))


async def test_a_dead_workers_task_is_taken_over_and_a_living_ones_is_not(postgres: PostgresServer) -> None:
    url, log, gone = postgres.new_database(), Log(), Log()
    async with open_queue(url, now) as queue:
        await queue.defer(Order("wait", {"n": 1}, "one"))
        await queue.defer(Order("wait", {"n": 2}, "two"))
    quick = replace(QUICK, stale_seconds=STALE_SECONDS)
    async with LocationStand(url).work(log, quick, concurrency=1) as queue:
        await until(lambda: log.begun == [1])
        # A worker that was killed leaves this behind.
        await ask(url, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
        await ask(
            url,
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
            " WHERE id = 2",
        )
        async with LocationStand(url).work(gone, quick, concurrency=1) as other:
            await until(lambda: gone.begun == [2])
            [entry] = [entry for entry in await other.entries() if entry.id == 2]
            await outlive_staleness(url)
            log.gate.set()
            gone.gate.set()
            await until_empty(queue)

    assert entry.error == "its worker ended before it did"
    assert (log.begun, gone.begun) == ([1], [2])


async def test_a_dead_workers_task_is_erased_by_a_command_though_no_worker_is_left(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with open_queue(url, now) as queue:
        await queue.defer(Order("wait", {"n": 1}, "one"))
        await ask(url, "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')")
        await ask(
            url,
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)",
        )
        cleared = await queue.erase("one")
        left = await queue.entries()

    assert (cleared, left) == (Cleared(1, 0), [])


async def test_an_outage_is_waited_out(postgres: PostgresServer) -> None:
    url, log = postgres.new_database(), Log()
    async with LocationStand(url).work(log, replace(QUICK, stale_seconds=1)) as queue:
        await queue.defer(Order("wait", {"n": 1}, "one"))
        await queue.defer(Order("note", {"n": 2}, "one"))
        await until(lambda: log.begun == [1])
        postgres.stop()
        log.gate.set()
        await until(lambda: log.done == [1])
        postgres.start()
        await until_empty(queue)
        await queue.defer(Order("note", {"n": 3}))
        await until(lambda: 3 in log.done)

    assert [n for n in log.done if n != 1] == [2, 3]


@pytest.mark.parametrize("away_seconds", [0.0, 0.02])
async def test_a_server_that_is_away_does_not_hold_up_the_end(postgres: PostgresServer, away_seconds: float) -> None:
    """At once, and when by then the worker has asked it for tasks in vain."""
    url, log = postgres.new_database(), Log()
    leaving = Leaving(lambda: 0.0)
    try:
        async with LocationStand(url).work(log, replace(QUICK, park_seconds=0.1), leaving=leaving) as queue:
            await queue.defer(Order("wait", {"n": 1}))
            await until(lambda: log.begun == [1])
            postgres.stop()
            await asyncio.sleep(away_seconds)
            began = time.monotonic()
        took_seconds = time.monotonic() - began
    finally:
        postgres.start()
    log.gate.set()
    async with LocationStand(url).work(log, replace(QUICK, stale_seconds=0.2)) as queue:
        await until_empty(queue)

    assert took_seconds < 10
    assert log.done == [1]


async def test_words_of_a_task_that_was_done_are_gone_and_those_of_a_dead_one_stay(postgres: PostgresServer) -> None:
    url, log = postgres.new_database(), Log()
    log.faults = [ValueError()]
    async with LocationStand(url).work(log, max_attempts=1) as queue:
        await queue.defer(Order("fail", {"n": "of the dead"}))
        await until_dead(queue)
        await queue.defer(Order("note", {"n": "of the done"}))
        await until(lambda: log.done == ["of the done"])
    rows = str(await ask(url, "SELECT args FROM procrastinate_jobs"))

    assert "of the dead" in rows
    assert "of the done" not in rows


async def test_the_tables_are_made_once_however_many_begin(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with open_queue(url, now) as queue, open_queue(url, now) as other:
        await queue.defer(Order("note"))
        found = await other.entries()
    form = await ask(url, "SELECT ours FROM agentd_task_form")

    assert [entry.task for entry in found] == ["note"]
    assert form == [(len(module.MIGRATIONS),)]


async def test_an_older_schema_is_brought_up_to_date(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    async with open_queue(url, now):
        pass
    last = module.migrations()[-1].name
    await ask(url, "DROP FUNCTION procrastinate_retry_job_v2")
    await ask(url, "UPDATE agentd_task_form SET theirs = '03.04.00_01_pre_add_retry_failed_job_procedure.sql'")
    await ask(url, "DROP FUNCTION IF EXISTS procrastinate_retry_job_v1")
    before = await ask(url, "SELECT theirs FROM agentd_task_form")
    async with open_queue(url, now):
        pass
    after = await ask(url, "SELECT theirs FROM agentd_task_form")

    assert before != after == [(last,)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE agentd_task_form SET theirs = '99'", "a later version of agentd"),
        ("UPDATE agentd_task_form SET ours = 99", "a later version of agentd"),
        ("DROP TABLE agentd_task_form", "tables of procrastinate that agentd did not make"),
    ],
)
async def test_a_database_of_others_is_left_alone(postgres: PostgresServer, change: str, told: str) -> None:
    url = postgres.new_database()
    async with open_queue(url, now):
        pass
    await ask(url, change)

    with pytest.raises(ConfigError, match=told):
        async with open_queue(url, now):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://agentd:hunter2@/x?host=/nowhere",
        "postgresql://agentd:hunter2@h:port/x",
        "postgresql://a:hunter2@h/x?y=z",
    ],
)
async def test_a_server_that_cannot_be_had_is_one_plain_sentence_without_the_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0)

    with pytest.raises((ConfigError, StorageError), match=r"storage\.url") as raised:
        async with open_queue(SecretStr(url), now):
            pass

    assert "hunter2" not in str(raised.value)


async def test_a_second_run_finds_what_was_parked(postgres: PostgresServer) -> None:
    url, log = postgres.new_database(), Log()
    async with LocationStand(url).work(log, leaving=Leaving(lambda: 0.0)) as queue:
        await queue.defer(Order("wait", {"n": 1}))
        await until(lambda: log.begun == [1])
    states = await ask(url, "SELECT status::text FROM procrastinate_jobs")

    assert states == [("todo",)]
