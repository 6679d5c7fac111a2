"""These tests check that a shutdown ends in time whatever hangs, and reports its progress."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from agentd.app.shutdown_deadlines import Stop
from tests.flow.process import started, write_config
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.notify_socket import NotifySocket, open_notify_socket
from tests.platforms.openai_behaviours import hang
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer

DRAIN_SECONDS = 3
SLACK_SECONDS = 1
"""For the machine: a process that is gone is noticed."""

FACT = "My cat is called Tom, and he is as black as the night."


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_turns_tasks_and_connections_share_the_time_that_there_is() -> None:
    clock = Clock()
    stop = Stop(30, clock)
    stop.ask()
    leaving = stop.leaving
    clock.now += stop.drain.seconds
    rest_seconds = leaving.rest_seconds()
    clock.now += rest_seconds
    park_seconds = leaving.park_seconds()
    clock.now += park_seconds

    assert stop.drain.seconds == 22
    assert rest_seconds == pytest.approx(1.0)
    assert park_seconds == pytest.approx(6.0)
    assert stop.close_seconds() == pytest.approx(1.0)
    assert clock.now + stop.close_seconds() <= stop.until


async def test_tasks_have_their_grace_where_turns_need_no_time() -> None:
    clock = Clock()
    stop = Stop(30, clock)
    stop.ask()
    first = stop.leaving.rest_seconds()
    stop.ask()

    assert first == 5
    assert stop.leaving.rest_seconds() == 0
    assert stop.until == 102


@asynccontextmanager
async def hanging(folder: Path, supervisor: NotifySocket) -> AsyncIterator[Process]:
    """Run a daemon in which a turn hangs, and something is being learnt that hangs as well."""
    clerk = ClerkServer()
    clerk.gate = asyncio.Event()
    async with OpenAIServer() as model, clerk, TelegramServer() as platform:
        more = (
            f"[service]\ndrain_seconds = {DRAIN_SECONDS}\n[memory]\nenabled = true\n"
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{platform.base_url}"\n'
            f'allowed_users = ["*"]\n[provider.background]\nkind = "openai"\nmodel = "clerk"\n'
            f'base_url = "{clerk.base_url}"\n'
        )
        config = write_config(folder, model.base_url, more)
        async with started(config, extra={"NOTIFY_SOCKET": supervisor.address}) as process:
            platform.post(FACT)
            await clerk.half_said.wait()
            asked = asyncio.Event()
            model.enqueue(asking(asked))
            platform.post("And now?")
            await asked.wait()
            yield process


def asking(asked: asyncio.Event) -> Behaviour:
    """Hang, and say so."""

    async def behave(call: Call) -> web.StreamResponse:
        asked.set()
        return await hang()(call)

    return behave


async def test_a_turn_and_a_task_that_hang_are_parked_in_time_and_the_supervisor_is_told(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, hanging(tmp_path, supervisor) as process:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        seconds = time.monotonic() - began

    assert process.returncode == 0
    assert seconds < DRAIN_SECONDS + SLACK_SECONDS
    assert b"turn_parked" in errors
    assert b"task_parked" in errors
    assert b"shutdown_cut" not in errors
    assert any(status.startswith("Stopping: 1 conversation") for status in supervisor.statuses)
    assert supervisor.count("EXTEND_TIMEOUT_USEC") >= 2


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, hanging(tmp_path, supervisor) as process:
        process.send_signal(signal.SIGTERM)
        await supervisor.until(lambda: supervisor.count("STOPPING") > 0)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        seconds = time.monotonic() - began

    assert process.returncode == 0
    assert seconds < 2 + SLACK_SECONDS


STUCK = """
import threading, sys
from agentd.service.fuse import Fuse
threading.Thread(target=threading.Event().wait).start()
Fuse().burn(0)
"""


def test_a_thread_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, timeout=20, cwd=tmp_path, check=False)

    assert done.returncode == 0
    assert b"shutdown_cut" in done.stdout + done.stderr
