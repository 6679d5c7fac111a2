"""These tests check the control socket: its answers, whom it hears, and that no client can hurt the daemon."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import sqlite3
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agentd.errors import AgentdError, ConfigError
from agentd.service import control
from agentd.service.control import Caller, open_control, reachable
from agentd.service.control_client import ask_daemon
from tests.unit.agentd.transcript.building import CALM

MEGABYTE = 1 << 20


class Count(msgspec.Struct):
    """A request with a number."""

    count: int


async def count(request: Mapping[str, object], caller: Caller) -> int:
    for number in range(msgspec.convert(request, Count).count):
        await caller.say(f"line {number}")
    return 3


async def measure(request: Mapping[str, object], caller: Caller) -> int:
    total = 0
    async for block in caller.body(msgspec.convert(request, Count).count):
        total += len(block)
    await caller.say(f"{total} bytes")
    return 0


async def refuse(request: Mapping[str, object], caller: Caller) -> int:
    del request, caller
    raise ConfigError("change it")


async def stumble(request: Mapping[str, object], caller: Caller) -> int:
    del request, caller
    raise OSError(28, "No space left on device", "/some/file")


async def look_up(request: Mapping[str, object], caller: Caller) -> int:
    del caller
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("SELECT ?", [request["value"]])
    return 0


async def break_down(request: Mapping[str, object], caller: Caller) -> int:
    del request, caller
    raise ValueError("a bug")


HANDLERS = {
    "break down": break_down,
    "count": count,
    "measure": measure,
    "refuse": refuse,
    "stumble": stumble,
    "look up": look_up,
}


@asynccontextmanager
async def serving(workspace: Path, users: frozenset[int] | None = None) -> AsyncIterator[None]:
    async with asyncio.timeout(30), open_control(workspace, HANDLERS, users):
        yield


async def ask(workspace: Path, request: Mapping[str, object], body: BinaryIO | None = None) -> tuple[int | None, str]:
    lines: list[str] = []
    code = await asyncio.to_thread(ask_daemon, workspace, request, lines.append, body)
    return code, "\n".join(lines)


async def exchange(workspace: Path, sent: bytes, *, ends: bool = False) -> bytes:
    """Send these bytes, and return everything that comes back."""
    with reachable(workspace) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    try:
        writer.write(sent)
        if ends:
            writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_an_answer_comes_line_by_line_and_ends_with_the_exit_code(tmp_path: Path) -> None:
    async with serving(tmp_path):
        answer = await exchange(tmp_path, b'{"command":"count","count":2}\n')

        assert [json.loads(line) for line in answer.splitlines()] == [
            {"line": "line 0"},
            {"line": "line 1"},
            {"exit": 3},
        ]
        assert await ask(tmp_path, {"command": "count", "count": 1000}) == (
            3,
            "\n".join(f"line {number}" for number in range(1000)),
        )


async def test_a_bug_of_a_command_ends_its_own_request_and_not_the_daemon(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with serving(tmp_path):
            with pytest.raises(AgentdError, match=r"could not do this \(ValueError\): see what its log says"):
                await ask(tmp_path, {"command": "break down"})
            assert await ask(tmp_path, {"command": "count", "count": 0}) == (3, "")

    assert [(said["event"], str(said["exc_info"])) for said in logs] == [("control_failed", "a bug")]


@pytest.mark.parametrize("value", ["9" * 30, '"\\ud800"'])
async def test_a_value_that_no_database_takes_ends_its_own_request_and_not_the_daemon(
    tmp_path: Path, value: str
) -> None:
    async with serving(tmp_path):
        answer = json.loads(await exchange(tmp_path, f'{{"command":"look up","value":{value}}}\n'.encode()))

        assert answer["exit"] == 1
        assert answer["error"].startswith("this is no request: ")
        assert await ask(tmp_path, {"command": "count", "count": 0}) == (3, "")


def test_a_daemon_that_is_stuck_is_said_to_be_and_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stuck:
        stuck.bind(str(tmp_path / "control.sock"))
        stuck.listen(2)
        for _ in range(5):  # nobody takes those who went away from its queue, which is full in the end
            with pytest.raises(AgentdError, match=r"has not answered within 0\.05 s: it is stuck or stopped"):
                ask_daemon(tmp_path, {"command": "status"}, print, patience_seconds=0.05)


async def test_bytes_of_any_number_follow_a_request(tmp_path: Path) -> None:
    body = io.BytesIO(bytes(5 * MEGABYTE))
    async with serving(tmp_path):
        request = {"command": "measure", "count": 5 * MEGABYTE}

        assert await ask(tmp_path, request, body) == (0, f"{5 * MEGABYTE} bytes")


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"command": "refuse"}, 78, "change it"),
        ({"command": "stumble"}, 1, "/some/file: No space"),
        ({"command": "other"}, 1, "does not know"),
        ({"command": ["count"]}, 1, "does not know"),
        ({}, 1, "does not know"),
        ({"command": "count", "count": "many"}, 1, "no request"),
    ],
)
async def test_what_the_daemon_refuses_is_an_error_with_its_exit_code(
    request_: dict[str, object], code: int, words: str, tmp_path: Path
) -> None:
    async with serving(tmp_path):
        with pytest.raises(AgentdError, match=words) as fault:
            await ask(tmp_path, request_)

    assert fault.value.exit_code == code


async def test_a_name_that_is_no_unicode_comes_through(tmp_path: Path) -> None:
    async def echo(request: Mapping[str, object], caller: Caller) -> int:
        await caller.say(str(request["name"]))
        return 0

    name = os.fsdecode(b"a\xff")
    async with open_control(tmp_path, {"echo": echo}):
        assert await ask(tmp_path, {"command": "echo", "name": name}) == (0, name)


@pytest.mark.parametrize(
    "sent",
    [
        b"\n",
        b"no JSON\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'"\xed\xa0\x80"\n',
        b"1" * 5000 + b"\n",
        b"[" * 50_000 + b"\n",
        b"x" * MEGABYTE,
        b'{"command":"measure","count":-1}\n',
        b'{"command":"measure","count":' + b"9" * 30 + b"}\n",
    ],
    ids=range(10),
)
async def test_nonsense_is_answered_or_dropped_and_the_next_client_is_served(sent: bytes, tmp_path: Path) -> None:
    async with serving(tmp_path):
        await exchange(tmp_path, sent, ends=True)

        assert await ask(tmp_path, {"command": "count", "count": 0}) == (3, "")


@pytest.mark.parametrize("sent", [b"", b'{"command":', b'{"command":"measure","count":9}\nhalf'])
async def test_half_a_request_ends_its_connection_alone(sent: bytes, tmp_path: Path) -> None:
    async with serving(tmp_path):
        assert await exchange(tmp_path, sent, ends=True) == b""
        assert await ask(tmp_path, {"command": "count", "count": 0}) == (3, "")


async def test_who_sends_nothing_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.01)
    async with serving(tmp_path):
        assert await exchange(tmp_path, b'{"command":"measure","count":9}\n') == b""


async def test_who_reads_nothing_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE_SECONDS", 0.01)
    ended = asyncio.Event()

    async def pour(request: Mapping[str, object], caller: Caller) -> int:
        try:
            while True:
                await caller.say("x" * 10_000)
        finally:
            ended.set()

    async with asyncio.timeout(30), open_control(tmp_path, {"pour": pour}):
        with reachable(tmp_path) as address:
            _, writer = await asyncio.open_unix_connection(address, limit=1)
        writer.write(b'{"command":"pour"}\n')
        await ended.wait()
        writer.transport.abort()


async def test_the_work_for_a_client_that_is_gone_ends(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def work(request: Mapping[str, object], caller: Caller) -> int:
        try:
            while True:
                await caller.say()
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with asyncio.timeout(30), open_control(tmp_path, {"work": work}):
        with reachable(tmp_path) as address:
            _, writer = await asyncio.open_unix_connection(address)
        writer.write(b'{"command":"work"}\n')
        await writer.drain()
        writer.transport.abort()
        await ended.wait()


async def test_a_daemon_that_ends_before_its_answer_is_told_as_that(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def hang(request: Mapping[str, object], caller: Caller) -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    async with asyncio.TaskGroup() as tasks:
        async with open_control(tmp_path, {"hang": hang}):
            asking = tasks.create_task(failing(tmp_path), name="asking")
            await begun.wait()
        fault = await asking

    assert "ended before" in str(fault)
    assert not (tmp_path / "control.sock").exists()


async def failing(workspace: Path) -> AgentdError:
    with pytest.raises(AgentdError) as fault:
        await ask(workspace, {"command": "hang"})
    return fault.value


async def test_only_the_daemons_user_and_root_are_heard(tmp_path: Path) -> None:
    async with serving(tmp_path, frozenset({os.geteuid() + 1})):
        with pytest.raises(AgentdError, match="ended before"):
            await ask(tmp_path, {"command": "count", "count": 1})
    async with serving(tmp_path):
        mode = (tmp_path / "control.sock").stat().st_mode

        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)


async def test_a_dead_daemons_socket_is_replaced_and_nobody_is_there_before_and_after(tmp_path: Path) -> None:
    assert await ask(tmp_path, {"command": "count", "count": 0}) == (None, "")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    assert await ask(tmp_path, {"command": "count", "count": 0}) == (None, "")
    async with serving(tmp_path):
        assert await ask(tmp_path, {"command": "count", "count": 0}) == (3, "")
    assert await ask(tmp_path, {"command": "count", "count": 0}) == (None, "")


async def test_a_path_that_is_too_long_for_a_socket_works_all_the_same(tmp_path: Path) -> None:
    workspace = tmp_path / ("long" * 30)
    workspace.mkdir()
    async with serving(workspace):
        assert (workspace / "control.sock").is_socket()
        assert await ask(workspace, {"command": "count", "count": 1}) == (3, "line 0")


async def test_the_daemon_runs_without_where_there_can_be_no_socket(tmp_path: Path) -> None:
    (tmp_path / "control.sock").mkdir()
    async with serving(tmp_path):
        assert (tmp_path / "control.sock").is_dir()


async def test_callers_beyond_the_bound_are_turned_away_and_those_within_it_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "MOST_CALLERS", 1)
    async with serving(tmp_path):
        with reachable(tmp_path) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        assert await exchange(tmp_path, b'{"command":"count","count":0}\n') == b""
        writer.write(b'{"command":"count","count":0}\n')

        assert await reader.readline() == b'{"exit": 3}\n'
        writer.close()


@CALM
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_hurt_the_daemon(sent: bytes, ends: bool) -> None:
    async def try_it() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder)):
                await exchange(Path(folder), sent if ends else sent + b"\n", ends=True)
                assert await ask(Path(folder), {"command": "count", "count": 0}) == (3, "")

    asyncio.run(try_it())
