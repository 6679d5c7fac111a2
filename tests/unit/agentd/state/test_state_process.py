"""These tests check `state.db` as the daemon's process leaves and finds it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.flow.process import talk, write_config
from tests.platforms.openai_server import OpenAIServer


def rows(config: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(config.parent / "workspace" / "state.db")) as connection:
        return connection.execute(query).fetchall()


async def test_a_run_leaves_its_times_and_the_next_what_it_found_settled(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        await talk(config, "one")
        first = rows(config, "SELECT * FROM settled")
        await talk(config)
        marked = rows(config, "SELECT size, ctime_ns FROM settled")
        _, output, _ = await talk(config, "two")
    [session] = (tmp_path / "workspace" / "sessions").iterdir()
    runs = rows(config, "SELECT began IS NOT NULL, recovered >= began FROM run")

    assert first == []
    assert len(marked) == 1
    assert marked[0] != (session.stat().st_size, session.stat().st_ctime_ns)
    assert output == "You said: two\n"
    assert runs == [(1, 1)] * 3


async def test_a_daemon_that_keeps_no_sessions_keeps_nothing_about_them(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url, "[channels_config]\nsession_persistence = false")
        code, _, _ = await talk(config, "one")

    assert code == 0
    assert "sessions" not in os.listdir(tmp_path / "workspace")
    assert rows(config, "SELECT recovered FROM run") == [(None,)]
    assert rows(config, "SELECT * FROM settled") == []


async def test_a_later_versions_state_ends_the_daemon_with_what_to_do(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        await talk(config, "one")
        with closing(sqlite3.connect(tmp_path / "workspace" / "state.db")) as connection:
            connection.execute("PRAGMA user_version = 99")
        code, output, errors = await talk(config, "two")

    assert (code, output) == (78, "")
    assert "install that version again, or move state.db away" in errors


async def test_a_damaged_state_costs_nobody_an_answer(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        await talk(config, "one")
        (tmp_path / "workspace" / "state.db").write_bytes(b"garbage")
        code, output, _ = await talk(config, "two")

    assert (code, output) == (0, "You said: two\n")
    assert len([name for name in os.listdir(tmp_path / "workspace") if name.startswith("state.db.aside-")]) == 1
