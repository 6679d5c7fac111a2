"""These tests check `tasks.db` as a file: its mode, its damage, its disk, and what is left in it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from procrastinate import sql
from procrastinate.exceptions import ConnectorException
from structlog.testing import capture_logs

from agentd.errors import ConfigError, StorageError
from agentd.tasks.opening import Surroundings, open_queue, work_at
from agentd.tasks.places import Place
from agentd.tasks.queue import Cleared, Leaving, Order, TaskQueue
from agentd.tasks.settings import TasksSettings
from agentd.tasks.sqlite_connector import SqliteConnector
from agentd.tasks.sqlite_queries import REFUSED, check_names
from tests.contract.task_stands import PATIENT, QUICK, LocationStand, Log, now, until, until_dead, until_empty

NAME = "tasks.db"


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_the_file_is_the_owners_only(tmp_path: Path) -> None:
    async with open_queue(tmp_path / NAME, now) as queue:
        await queue.defer(Order("note"))
        modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}

    assert modes == {0o600}


async def test_a_task_survives_the_process_that_took_it(tmp_path: Path) -> None:
    async with open_queue(tmp_path / NAME, now) as queue:
        await queue.defer(Order("note", {"n": 1}, "one"))
    log = Log()
    async with LocationStand(tmp_path / NAME).work(log):
        await until(lambda: log.done == [1])


@pytest.mark.parametrize("damage", ["no database", "torn", "a page"])
async def test_a_damaged_file_is_set_aside_with_a_word_and_tasks_go_on(tmp_path: Path, damage: str) -> None:
    path, log = tmp_path / NAME, Log()
    async with open_queue(path, now) as queue:
        for n in range(50):
            await queue.defer(Order("later", {"n": n, "words": "x" * 200}, f"session {n}"))
    content = path.read_bytes()
    damaged = {
        "no database": b"{}\n",
        "torn": content[:5000],
        "a page": content[:4096] + b"\xff" * 4096 + content[8192:],
    }
    path.write_bytes(damaged[damage])
    with capture_logs() as logs:
        async with LocationStand(path).work(log) as queue:
            await queue.defer(Order("note", {"n": 1}))
            await until(lambda: log.done == [1])

    assert [said["event"] for said in logs if said["log_level"] == "error"] == ["tasks_set_aside"]
    assert [aside for aside in os.listdir(tmp_path) if aside.startswith("tasks.db.aside-")] != []


async def test_a_later_versions_file_is_left_alone(tmp_path: Path) -> None:
    async with open_queue(tmp_path / NAME, now):
        pass
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigError, match=r"tasks\.db was written by a later version"):
        async with open_queue(tmp_path / NAME, now):
            pass


async def test_a_place_that_cannot_be_written_is_one_plain_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="check tasks"):
        async with open_queue(tmp_path / "missing" / NAME, now):
            pass


@asynccontextmanager
async def working(place: Place, log: Log) -> AsyncIterator[TaskQueue]:
    async with work_at(place, TasksSettings(), log.jobs, Surroundings(now, PATIENT, timing=QUICK)) as queue:
        yield queue


async def fill(queue: TaskQueue) -> None:
    for n in range(200):
        await queue.defer(Order("wait", {"n": n, "words": "x" * 1000}, "one"))


async def pragma(place: Place, text: str) -> None:
    assert isinstance(place.connector, SqliteConnector)
    await place.connector._on_thread(lambda connection: connection.execute(f"PRAGMA {text}").fetchall())


async def test_a_full_disk_refuses_a_task_and_costs_none_that_was_taken(tmp_path: Path) -> None:
    log = Log()
    async with LocationStand(tmp_path / NAME).open_place() as place, working(place, log) as queue:
        await pragma(place, "max_page_count = 30")
        with pytest.raises(StorageError, match="full"):
            await fill(queue)
        taken = len(await queue.entries())
        await pragma(place, "max_page_count = 1000000")
        log.gate.set()
        await until_empty(queue)

    assert taken > 1
    assert log.done == list(range(taken))


async def test_an_end_that_could_not_be_written_down_costs_a_repetition_only(tmp_path: Path) -> None:
    log = Log()
    async with (
        LocationStand(tmp_path / NAME).open_place() as place,
        working(replace(place, poll_seconds=0.05), log) as queue,
    ):
        await queue.defer(Order("wait", {"n": 1}, "one"))
        await queue.defer(Order("note", {"n": 2}, "one"))
        await until(lambda: log.begun == [1])
        await pragma(place, "query_only = ON")
        log.gate.set()
        await until(lambda: log.done == [1])
        with capture_logs() as logs:
            await until(lambda: "tasks_interrupted" in [said["event"] for said in logs])
            await pragma(place, "query_only = OFF")
            await until_empty(queue)

    assert log.done == [1, 1, 2]
    assert "task_put_back" in [said["event"] for said in logs]


async def test_a_sessions_next_task_begins_at_once(tmp_path: Path) -> None:
    log = Log()
    async with (
        LocationStand(tmp_path / NAME).open_place() as place,
        working(replace(place, poll_seconds=600), log) as queue,
    ):
        await queue.defer(Order("wait", {"n": 0}, "one"))
        for n, session in ((1, "one"), (2, "one"), (3, "two")):
            await queue.defer(Order("note", {"n": n}, session))
        await until(lambda: log.done == [3])  # all that was told by then was looked at
        log.gate.set()
        await until(lambda: log.done == [3, 0, 1, 2])


async def test_words_are_gone_from_the_file_when_they_are_erased(tmp_path: Path) -> None:
    log = Log()
    log.faults = [ValueError()]
    async with LocationStand(tmp_path / NAME).work(log, max_attempts=1) as queue:
        await queue.defer(Order("fail", {"n": "a secret of hers"}, "one"))
        await until_dead(queue)
        before = bytes_of(tmp_path)
        await queue.erase("one")
        after = bytes_of(tmp_path)

    assert b"a secret of hers" in before
    assert b"a secret of hers" not in after


async def test_words_are_gone_from_the_file_when_the_daemon_has_ended(tmp_path: Path) -> None:
    log = Log()
    async with LocationStand(tmp_path / NAME).work(log) as queue:
        await queue.defer(Order("note", {"n": "a secret of hers"}))
        await until_empty(queue)

    assert log.done == ["a secret of hers"]
    assert b"a secret of hers" not in bytes_of(tmp_path)


async def test_what_a_process_that_was_killed_was_at_is_erased_where_nobody_is_at_it_any_more(tmp_path: Path) -> None:
    path = tmp_path / NAME
    async with open_queue(path, now) as queue:
        for n, session in ((1, "one"), (2, "two")):
            await queue.defer(Order("wait", {"n": n}, session))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO worker (id, heartbeat) VALUES (7, 0)")
        connection.execute("UPDATE job SET status = 'doing', worker_id = iif(lock = 'one', 7, NULL)")
    async with open_queue(path, now) as queue:
        cleared = await queue.erase("one")
        left = await queue.entries()

    assert cleared == Cleared(1, 0)
    assert [(entry.session, entry.state) for entry in left] == [("two", "doing")]


async def test_a_job_that_kills_its_process_each_time_is_dead_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / NAME
    async with open_queue(path, now) as queue:
        await queue.defer(Order("wait", {"n": 1}, "one"))
    entries = []
    for _ in range(3):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE job SET status = 'doing', worker_id = NULL WHERE status = 'todo'")
        async with LocationStand(path).work(Log(), leaving=Leaving(lambda: 0.0), max_attempts=3) as queue:
            entries += await queue.entries(dead=True)

    assert [(entry.id, entry.error) for entry in entries] == [(1, "its worker ended before it did")]


def test_another_set_of_queries_than_the_one_known_is_refused_by_name() -> None:
    check_names()
    with pytest.raises(ConfigError, match="its queries differ: listen_queue, steal_job"):
        check_names({**dict.fromkeys(sorted(known() - {"listen_queue"}), ""), "steal_job": ""})

    assert set(REFUSED) == {"listen_queue"}


def known() -> set[str]:
    from procrastinate import sql

    return set(sql.queries)


async def test_what_is_no_named_query_is_refused(tmp_path: Path) -> None:
    async with LocationStand(tmp_path / NAME).open_place() as place:
        with pytest.raises(ConnectorException, match="none of the queries"):
            await place.connector.execute_query_async("DROP TABLE job")


class SlowToGive(SqliteConnector):
    """A file that gives a task away a while after it was asked for one."""

    async def execute_query_one_async(self, query: str, **arguments: Any) -> dict[str, Any]:
        found = await super().execute_query_one_async(query, **arguments)
        if query == sql.queries["fetch_job"]:
            await asyncio.sleep(0.2)
        return found


async def test_a_task_that_comes_after_the_others_were_cut_is_parked_too(tmp_path: Path) -> None:
    log, connector = Log(), SlowToGive(tmp_path / NAME, now)
    around = Surroundings(now, Leaving(lambda: 0.0), timing=QUICK)
    await connector.open_async()
    async with work_at(Place(connector, False, 0.05), TasksSettings(), log.jobs, around) as queue:
        await queue.defer(Order("wait", {"n": 1}, "one"))
        await until(lambda: log.begun == [1])
        await queue.defer(Order("wait", {"n": 2}, "two"))
        await asyncio.sleep(0.1)
    await connector.close_async()
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        states = connection.execute("SELECT status FROM job").fetchall()

    assert states == [("todo",), ("todo",)]
    assert log.begun == [1]


class SlowToWrite(SqliteConnector):
    """A file that takes its time before it writes down how an attempt ended."""

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        if query in (sql.queries["retry_job"], sql.queries["finish_job"]):
            await asyncio.sleep(4 * QUICK.sweep_seconds)
        await super().execute_query_async(query, **arguments)


async def test_a_task_whose_end_is_slow_to_be_written_down_is_not_put_back(tmp_path: Path) -> None:
    log, connector = Log(), SlowToWrite(tmp_path / NAME, now)
    log.faults = [ValueError()]
    around = Surroundings(now, PATIENT, timing=QUICK)
    await connector.open_async()
    with capture_logs() as logs:
        async with work_at(Place(connector, False, 0.05), TasksSettings(), log.jobs, around) as queue:
            await queue.defer(Order("fail", {"n": 1}, "one"))
            await until_empty(queue)
    await connector.close_async()

    assert log.done == [1]
    assert [said["event"] for said in logs if said["event"].startswith("task_")] == ["task_failed"]
