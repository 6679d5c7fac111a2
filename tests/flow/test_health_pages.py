"""These tests check what a monitor reads: metrics that move, `/healthz` and `/readyz`."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from agentd.app.parts import Intervals
from agentd.app.supervising import RestartPolicy
from agentd.service.notifying import Notifier
from agentd.service.vitals import Limits
from tests.flow.bot import Bot, open_bot
from tests.flow.house import says
from tests.platforms.telegram_behaviours import refusing

QUICK = Intervals(beat_seconds=0.02, contact_seconds=0.1, restart_policy=RestartPolicy(look_seconds=0.02))
LISTENING = '[service]\nmetrics_listen = "127.0.0.1:0"'


def fetch(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


async def ask(port: int, path: str) -> tuple[int, dict[str, Any]]:
    status, text = await asyncio.to_thread(fetch, port, path)
    return status, json.loads(text)


@asynccontextmanager
async def listening(bot: Bot, intervals: Intervals = QUICK) -> AsyncIterator[tuple[int, list[Any]]]:
    """Run the daemon, and give the port that it listens on, and what is logged."""
    bot.intervals = intervals
    with capture_logs() as logs:
        async with bot.run(LISTENING):
            await bot.until(lambda: any(entry["event"] == "metrics_served" for entry in logs))
            yield next(entry["port"] for entry in logs if entry["event"] == "metrics_served"), logs


async def until_page(port: int, path: str, status: int) -> dict[str, Any]:
    """Ask until the page has this status."""
    while True:
        code, told = await ask(port, path)
        if code == status:
            return told


async def test_the_figures_of_sessions_sends_channels_turns_and_the_loop_move(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_bot(tmp_path) as bot, listening(bot) as (port, _):
        bot.model.enqueue(says("A ", "reply", gate=gate))
        bot.telegram.post("Hello")
        await bot.until(lambda: bool(bot.model.requests))
        busy = await until_figure(port, 'agentd_sessions{state="busy"} 1.0')
        gate.set()
        await bot.settled()
        done = await until_figure(port, "agentd_turn_seconds_count 1.0")
        idle = await until_figure(port, 'agentd_sessions{state="idle"} 1.0')

    assert "agentd_mailbox_depth 1.0" in busy
    assert "agentd_mailbox_depth 0.0" in idle
    assert "agentd_turn_overhead_seconds_count 1.0" in done
    assert 'agentd_sends_total{channel="telegram",outcome="sent"} 1.0' in done
    assert "agentd_loop_lag_seconds " in done
    assert 'agentd_channel_last_contact_seconds{channel="telegram"}' in done


async def until_figure(port: int, line: str) -> str:
    """Read the figures until they have this line."""
    while True:
        _, text = await asyncio.to_thread(fetch, port, "/metrics")
        if line in text:
            return text


async def test_it_is_ready_only_while_every_channel_is_heard(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot:
        bot.telegram.enqueue("getMe", *[refusing(502, "Bad Gateway")] * 1000)
        async with listening(bot) as (port, _):
            degraded = await until_degraded(port)
            alive = await ask(port, "/healthz")
            bot.telegram.forget_script()
            ready = await until_page(port, "/readyz", 200)

    assert degraded["reasons"] == ["telegram: Telegram cannot be reached: Bad Gateway"]
    assert alive == (200, {"status": "alive", "reasons": []})
    assert ready == {"status": "ready", "reasons": []}


async def until_degraded(port: int) -> dict[str, Any]:
    """Ask until it is neither ready nor starting."""
    while True:
        status, told = await ask(port, "/readyz")
        if told["status"] == "degraded":
            assert status == 503
            return told
        assert (status, told["status"]) == (503, "starting")


async def test_while_it_stops_it_is_not_ready(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_bot(tmp_path) as bot, listening(bot) as (port, _):
        await until_page(port, "/readyz", 200)  # while it starts it is not ready either
        bot.model.enqueue(says("A ", "reply", gate=gate))
        bot.telegram.post("Hello")
        await bot.until(lambda: bool(bot.model.requests))
        signal.raise_signal(signal.SIGTERM)
        told = await until_page(port, "/readyz", 503)
        gate.set()
        await bot.settled()

    assert told["status"] == "stopping"
    assert told["reasons"][0].startswith("Stopping: 1 conversation")
    assert [record["outcome"] for record in bot.records("assistant")] == ["complete"]


async def test_a_loop_that_is_stuck_is_not_alive_and_its_stacks_are_in_the_log(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot:
        bot.notifier = Notifier(str(tmp_path / "nobody"), watchdog_seconds=0.2)
        async with listening(bot, replace(QUICK, limits=Limits(lag_seconds=0.1))) as (port, logs):
            bot.telegram.post("A secret word")
            await bot.settled()
            answers: list[tuple[int, str]] = []
            watcher = threading.Thread(target=watch_until_stuck, args=(port, logs, answers))
            watcher.start()
            watcher.join(10)  # the loop is stuck for as long
            alive = await until_page(port, "/healthz", 200)

    stood = [entry for entry in logs if entry["event"] == "thread_stood"]
    assert json.loads(answers[-1][1])["status"] == "stuck"
    assert json.loads(answers[-1][1])["reasons"][0].startswith("the event loop is ")
    assert alive["status"] == "alive"
    assert any("test_health_pages.py" in call for call in stood[0]["calls"])
    assert "A secret word" not in str(stood)
    assert [entry["event"] for entry in logs if entry["event"] == "loop_stuck"] != []


def watch_until_stuck(port: int, logs: Sequence[Mapping[str, Any]], answers: list[tuple[int, str]]) -> None:
    """Ask until the daemon is not alive, and its stacks are in the log."""
    while not (answers and answers[-1][0] == 503 and any(entry["event"] == "thread_stood" for entry in list(logs))):
        answers.append(fetch(port, "/healthz"))
