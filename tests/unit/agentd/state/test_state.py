from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.errors import ConfigError
from agentd.state.database import APPLICATION_ID, MIGRATIONS
from agentd.state.settled import SettledMarks
from agentd.state.state import KEPT_RUNS, open_state
from channels.base import Address, Author

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASIDE = "state.db.aside-20260101T120000Z"
FOUND = {"a.jsonl": (10, 1), "b.jsonl": (2**40, 1_767_268_800_123_456_789)}


@asynccontextmanager
async def opened(workspace: Path, version: str = "1") -> AsyncIterator[SettledMarks]:
    async with open_state(workspace / "state.db", version, lambda: NOW) as state:
        yield state.marks


def rows(workspace: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(workspace / "state.db")) as connection:
        return connection.execute(query).fetchall()


def change(workspace: Path, *statements: str) -> None:
    with closing(sqlite3.connect(workspace / "state.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def test_what_is_kept_is_there_in_the_next_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        first = await state.settled()
        await state.keep(FOUND, ())
    async with opened(tmp_path) as state:
        second = await state.settled()
        await state.keep({"a.jsonl": (11, 2), "c\udcff.jsonl": (3, 3)}, {"b.jsonl", "never.jsonl"})
    async with opened(tmp_path) as state:
        third = await state.settled()

    assert (first, second, third) == ({}, FOUND, {"a.jsonl": (11, 2), "c\udcff.jsonl": (3, 3)})


async def test_a_run_is_recorded_when_it_begins_and_when_it_has_recovered(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        began = rows(tmp_path, "SELECT version, began, recovered FROM run")
        await state.keep({}, ())
    async with opened(tmp_path):
        pass

    assert began == [("1", "2026-01-01T12:00:00.000Z", None)]
    assert [row[0] for row in rows(tmp_path, "SELECT recovered FROM run ORDER BY number")] == [
        "2026-01-01T12:00:00.000Z",
        None,
    ]


async def test_runs_do_not_pile_up(tmp_path: Path) -> None:
    for _ in range(KEPT_RUNS + 5):
        async with opened(tmp_path):
            pass

    assert rows(tmp_path, "SELECT count(*), max(number) FROM run") == [(KEPT_RUNS, KEPT_RUNS + 5)]


async def test_what_another_version_found_settled_is_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path, "1") as state:
        await state.keep(FOUND, ())
    async with opened(tmp_path, "2") as state:
        assert await state.settled() == {}


async def test_nor_is_it_used_where_it_cannot_be_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentd.state.database.BUSY_SECONDS", 0.01)
    async with opened(tmp_path, "1") as state:
        await state.keep(FOUND, ())
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with capture_logs() as logs:
            async with opened(tmp_path, "2") as state:
                found = await state.settled()
                other.execute("ROLLBACK")
                await state.keep({"c.jsonl": (1, 1)}, ())
                kept = await state.settled()
    async with opened(tmp_path, "1") as state:
        untouched = await state.settled()

    assert (found, kept, untouched) == ({}, {"c.jsonl": (1, 1)}, FOUND)
    assert [log["fault"] for log in logs if log["event"] == "state_not_usable"] == ["database is locked"]


async def test_its_files_are_private(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        async with opened(tmp_path) as state:
            await state.keep(FOUND, ())
            modes = {name: stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}
    finally:
        os.umask(mask)

    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


async def test_a_database_left_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    (tmp_path / "state.db").chmod(0o644)
    async with opened(tmp_path):
        assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


async def test_what_a_killed_run_had_kept_is_there(tmp_path: Path) -> None:
    """The database and its journal, as they lie there in the middle of a run."""
    later = tmp_path / "later"
    later.mkdir()
    async with opened(tmp_path) as state:
        await state.keep(FOUND, ())
        for name in os.listdir(tmp_path):
            if name != "later":
                shutil.copy(tmp_path / name, later / name)
    async with opened(later) as state:
        assert await state.settled() == FOUND


@pytest.mark.parametrize(
    "garbage", [b"x", b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000, b"SQLite format 3\0"]
)
async def test_garbage_is_set_aside_and_a_new_one_begun(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "state.db").write_bytes(garbage)
    (tmp_path / "state.db-wal").write_bytes(b"its journal")
    with capture_logs() as logs:
        async with opened(tmp_path) as state:
            assert await state.settled() == {}
            await state.keep(FOUND, ())
    async with opened(tmp_path) as state:
        assert await state.settled() == FOUND

    assert (tmp_path / ASIDE).read_bytes() == garbage
    if not garbage.startswith(b"SQLite"):
        assert (tmp_path / f"{ASIDE}-wal").read_bytes() == b"its journal"
    assert "state_set_aside" in [log["event"] for log in logs]


async def test_a_page_that_was_damaged_is_found_and_its_database_set_aside(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        await state.keep({f"{number}.jsonl": (number, number) for number in range(5_000)}, ())
    path = tmp_path / "state.db"
    content = bytearray(path.read_bytes())
    content[8 * 4096 : 20 * 4096] = b"\xa5" * (12 * 4096)
    path.write_bytes(content)
    async with opened(tmp_path) as state:
        assert await state.settled() == {}
    assert (tmp_path / ASIDE).read_bytes() == content


async def test_two_that_are_set_aside_in_one_second_have_two_names(tmp_path: Path) -> None:
    for garbage in (b"one", b"two"):
        (tmp_path / "state.db").write_bytes(garbage)
        async with opened(tmp_path):
            pass

    assert (tmp_path / ASIDE).read_bytes() == b"one"
    assert (tmp_path / f"{ASIDE}-2").read_bytes() == b"two"


async def test_another_programs_database_is_set_aside_whole(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE theirs (x)", "INSERT INTO theirs VALUES (7)")
    async with opened(tmp_path) as state:
        assert await state.settled() == {}
    with closing(sqlite3.connect(tmp_path / ASIDE)) as connection:
        assert connection.execute("SELECT x FROM theirs").fetchall() == [(7,)]


@pytest.mark.parametrize("kind", ["a link", "a folder", "a pipe"])
async def test_what_is_no_file_is_set_aside(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "state.db", tmp_path / "target"
    target.write_bytes(b"somebody's")
    match kind:
        case "a link":
            path.symlink_to(target)
        case "a folder":
            path.mkdir()
        case _:
            os.mkfifo(path)
    async with opened(tmp_path) as state:
        await state.keep(FOUND, ())
    async with opened(tmp_path) as state:
        assert await state.settled() == FOUND
    assert ASIDE in os.listdir(tmp_path)
    assert target.read_bytes() == b"somebody's"


async def test_a_later_versions_database_is_left_alone_and_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        await state.keep(FOUND, ())
    change(tmp_path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = (tmp_path / "state.db").read_bytes()
    with pytest.raises(ConfigError, match=r"later version.*install that version again, or move state\.db away"):
        async with opened(tmp_path):
            pass

    assert (tmp_path / "state.db").read_bytes() == before
    assert [name for name in os.listdir(tmp_path) if "aside" in name] == []


async def test_an_empty_file_becomes_a_database_of_this_version(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"")
    async with opened(tmp_path):
        pass

    assert rows(tmp_path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


async def test_a_database_of_the_first_form_keeps_what_it_has_and_takes_what_it_had_not(tmp_path: Path) -> None:
    change(
        tmp_path,
        *filter(str.strip, MIGRATIONS[0].split(";")),
        f"PRAGMA application_id = {APPLICATION_ID}",
        "PRAGMA user_version = 1",
        "INSERT INTO run (version, began) VALUES ('1', '2026-01-01T11:00:00.000Z')",
        "INSERT INTO settled VALUES (CAST('a.jsonl' AS BLOB), 10, 1)",
    )
    async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
        kept = await state.marks.settled()
        await state.aliases.add_alias("telegram", "bot", "-4", "-100")
        code = await state.pairings.request(Address("telegram", "bot", "42"), Author("42", "Ada"))
        await state.pairings.approve(str(code))

    assert kept == {"a.jsonl": (10, 1)}
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(tmp_path, "SELECT channel, sender, name, since FROM paired") == [
        ("telegram", "42", "Ada", "2026-01-01T12:00:00.000Z")
    ]
    assert rows(tmp_path, "SELECT old, new FROM alias") == [("-4", "-100")]


async def test_a_database_of_the_second_form_keeps_who_may_talk_and_takes_what_is_spent(tmp_path: Path) -> None:
    change(
        tmp_path,
        *filter(str.strip, ";".join(MIGRATIONS[:2]).split(";")),
        f"PRAGMA application_id = {APPLICATION_ID}",
        "PRAGMA user_version = 2",
        "INSERT INTO paired VALUES ('telegram', '42', 'Ada', '2026-01-01T11:00:00.000Z')",
    )
    async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
        is_paired = state.pairings.is_paired("telegram", "42")
        await state.usage.keep({("2026-01-01", "telegram:42"): 100})
        await state.factors.keep({"m": (1.5, 3)})

    assert is_paired
    assert rows(tmp_path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(tmp_path, "SELECT * FROM usage") == [("2026-01-01", "telegram:42", 100)]
    assert rows(tmp_path, "SELECT * FROM token_factors") == [("m", 1.5, 3)]


async def test_a_commit_is_flushed_before_it_is_reported(tmp_path: Path) -> None:
    full = 2
    async with opened(tmp_path) as state:
        [found] = await state._run(lambda connection: connection.execute("PRAGMA synchronous").fetchone(), (0,))

    assert found == full


async def test_who_is_paired_is_known_where_the_run_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentd.state.database.BUSY_SECONDS", 0.01)
    async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
        code = await state.pairings.request(Address("telegram", "bot", "42"), Author("42", "Ada"))
        await state.pairings.approve(str(code))
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
            state.require()
            known = state.pairings.is_paired("telegram", "42")
            other.execute("ROLLBACK")
            removed = await state.pairings.revoke("telegram", "42")

    assert (known, removed) == (True, True)


async def test_who_holds_it_locked_costs_what_would_have_been_kept_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentd.state.database.BUSY_SECONDS", 0.01)
    async with opened(tmp_path) as state:
        await state.keep(FOUND, ())
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with capture_logs() as logs:
                await state.keep({"c.jsonl": (1, 1)}, FOUND)
            other.execute("ROLLBACK")
        read = await state.settled()
        await state.keep({"d.jsonl": (1, 1)}, ())

        assert [log["event"] for log in logs] == ["state_not_usable"]
        assert read == FOUND
        assert await state.settled() == {**FOUND, "d.jsonl": (1, 1)}


async def test_a_full_disk_is_logged_and_leaves_what_was_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        await state.keep(FOUND, ())
        await state._run(lambda connection: connection.execute("PRAGMA max_page_count = 6"), None)
        with capture_logs() as logs:
            await state.keep({f"{number}.jsonl": (number, 1) for number in range(10_000)}, ())

        assert [(log["event"], log["fault"]) for log in logs] == [("state_not_usable", "database or disk is full")]
        assert await state.settled() == FOUND


async def test_where_there_can_be_no_database_the_run_goes_on_without(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with opened(tmp_path / "missing") as state:
            await state.keep(FOUND, ())
            kept = await state.settled()

    assert kept == FOUND
    assert "state_not_usable" in [log["event"] for log in logs]
    assert os.listdir(tmp_path) == []


async def test_nothing_of_it_runs_on_the_loops_thread_and_its_own_ends(tmp_path: Path) -> None:
    async with opened(tmp_path) as state:
        name = await state._run(lambda _: threading.current_thread().name, "")
    left = [thread.name for thread in threading.enumerate()]

    assert name.startswith("state")
    assert not [found for found in left if found.startswith("state")]
