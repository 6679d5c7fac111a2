"""These tests check the allow list: nothing of anybody else reaches a file or the model."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.errors import StorageError
from tests.flow.doorstep import ADA, EVE, Doorstep
from tests.flow.process import scrape, talk, write_config
from tests.flow.stage import until
from tests.platforms.openai_behaviours import slow
from tests.platforms.openai_server import OpenAIServer

PLANTED = "xyzzy-4711-plugh"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
def doorstep(tmp_path: Path, server: OpenAIServer) -> Doorstep:
    return Doorstep(tmp_path, server)


async def test_nothing_that_a_stranger_writes_is_in_any_file_or_reaches_the_model(
    doorstep: Doorstep, capsys: pytest.CaptureFixture[str]
) -> None:
    async with doorstep.open() as platform:
        for text in (PLANTED, f"/new {PLANTED}", f"/stop {PLANTED}", f"/{PLANTED}"):
            for group in (False, True):
                await (await platform.post(EVE, text, group=group)).settled()
        await platform.change(EVE, PLANTED)
        while_it_runs = doorstep.holding(PLANTED)
        journal = doorstep.holding("Eve (@eve)")
    async with doorstep.open():
        pass

    assert (while_it_runs, doorstep.holding(PLANTED)) == ([], [])
    assert journal == ["state.db-wal"]  # the files that are looked into are those that were written
    assert list((doorstep.workspace / "sessions").iterdir()) == []
    assert doorstep.server.requests == []
    assert PLANTED not in "".join(capsys.readouterr())


async def test_what_a_stranger_wrote_stays_unknown_when_they_are_let_in(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        await platform.ask(EVE, PLANTED)
        [waiting] = await doorstep.listed()
        await doorstep.pair("approve", waiting["code"])
        await platform.change(EVE, f"{PLANTED} again")
        answer = await platform.ask(EVE, "hello")

    assert answer == "You said: hello"
    assert doorstep.holding(PLANTED) == []
    assert [PLANTED in str(request.body) for request in doorstep.server.requests] == [False]


async def test_who_is_on_the_allow_list_is_answered_and_on_record(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        answer = await platform.ask(ADA, PLANTED)

    assert answer == f"You said: {PLANTED}"
    assert doorstep.holding(PLANTED) == ["telegram~bot~1~~1.jsonl"]


async def test_a_stranger_is_shown_one_code_whatever_is_restarted_and_none_in_a_group(doorstep: Doorstep) -> None:
    shown: list[str] = []
    for _ in range(2):
        async with doorstep.open() as platform:
            for group in (True, False, False):
                await (await platform.post(EVE, "hello", group=group)).settled()
            shown += [said.text for said in platform.said]
    [waiting] = await doorstep.listed()

    assert len(shown) == 1
    assert waiting["code"] in shown[0]


async def test_without_pairing_a_stranger_hears_nothing_and_nothing_of_them_is_kept(
    tmp_path: Path, server: OpenAIServer
) -> None:
    doorstep = Doorstep(tmp_path, server, "[gate]\npairing = false")
    async with doorstep.open() as platform:
        await (await platform.post(EVE, "hello")).settled()

    assert platform.said == []
    assert await doorstep.listed() == []
    assert doorstep.holding("Eve (@eve)") == []


async def test_a_code_that_did_not_arrive_is_shown_with_the_next_message(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        platform.refuses = True
        await (await platform.post(EVE, "hello")).settled()
        platform.refuses = False
        await platform.ask(EVE, "hello?")
        await platform.ask(EVE, "hello??")
    [waiting] = await doorstep.listed()

    assert [waiting["code"] in text for text in platform.texts(EVE)] == [True]


async def test_a_flood_is_told_once_and_a_stop_comes_through(tmp_path: Path, server: OpenAIServer) -> None:
    doorstep = Doorstep(tmp_path, server, "[agent]\ncollect_window_ms = 0\n[gate]\nmessages_per_minute = 2")
    running = asyncio.Event()
    server.enqueue(slow(["never ", "ends"], running))
    async with doorstep.open() as platform:
        first = await platform.post(ADA, "one")
        await until(lambda: bool(server.requests))
        await platform.post(ADA, "two")
        for _ in range(3):
            await (await platform.post(ADA, PLANTED)).settled()
        told = platform.texts(ADA)
        await (await platform.post(ADA, "/stop")).settled()
        await first.settled()
        stopped = platform.texts(ADA)
        running.set()

    assert len(told) == 1
    assert "2 messages a minute" in told[0]
    assert "Stopped." in stopped
    assert doorstep.holding(PLANTED) == []


async def test_a_backlog_of_a_day_that_comes_at_once_is_taken_whole(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        receipts = [
            await platform.post(ADA, f"number {number}", age=timedelta(minutes=20 * number)) for number in range(60)
        ]
        for receipt in receipts:
            await receipt.settled()
    [session] = (doorstep.workspace / "sessions").glob("*.jsonl")

    assert session.read_text("utf-8").count('"role":"user"') == 60
    assert not [text for text in platform.texts(ADA) if "faster" in text]


async def test_each_message_is_counted_by_what_became_of_it(tmp_path: Path, server: OpenAIServer) -> None:
    more = '[gate]\nmessages_per_minute = 1\n[service]\nmetrics_listen = "127.0.0.1:0"'
    doorstep = Doorstep(tmp_path, server, more)
    with capture_logs() as logs:
        async with doorstep.open() as platform:
            for author in (ADA, ADA, ADA, EVE):
                await (await platform.post(author, "hello")).settled()
            [port] = [log["port"] for log in logs if log["event"] == "metrics_served"]
            figures = await asyncio.to_thread(scrape, port)

    for outcome, count in (("accepted", 1.0), ("limited", 2.0), ("refused", 1.0)):
        assert f'agentd_messages_total{{channel="telegram",outcome="{outcome}"}} {count}' in figures


async def test_a_platform_is_not_heard_where_nobody_can_say_who_may_talk(
    doorstep: Doorstep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentd.state.database.BUSY_SECONDS", 0.01)
    async with doorstep.open():
        pass
    with closing(sqlite3.connect(doorstep.workspace / "state.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.RaisesGroup(
            pytest.RaisesExc(StorageError, match=r"state\.db cannot be used"), flatten_subgroups=True
        ):
            async with doorstep.open():
                pass


async def test_the_console_needs_no_state(tmp_path: Path, server: OpenAIServer) -> None:
    config = write_config(tmp_path, server.base_url)
    (tmp_path / "workspace").mkdir(mode=0o700)
    with closing(sqlite3.connect(tmp_path / "workspace" / "state.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        code, output, errors = await talk(config, *["hello"] * 25)

    assert (code, output) == (0, "You said: hello\n" * 25)
    assert "state_not_usable" in errors
