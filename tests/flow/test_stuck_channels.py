"""These tests check that a stuck channel is noticed, restarted and named, and that the watchdog learns of it last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentd.app.parts import Intervals
from agentd.app.supervising import RestartPolicy
from agentd.service.notifying import Notifier
from channels.backoff import Growing
from tests.flow import bot as telegram_bot
from tests.flow import slack_bot
from tests.flow.bot import Bot, open_bot
from tests.flow.discord_bot import open_discord_bot
from tests.flow.house import House
from tests.flow.slack_bot import open_app
from tests.platforms.notify_socket import NotifySocket, open_notify_socket
from tests.platforms.telegram_behaviours import failing, hang
from tests.platforms.telegram_server import texts

QUICK = Intervals(beat_seconds=0.05, contact_seconds=0.5, restart_policy=RestartPolicy(look_seconds=0.05))
IMPATIENT = replace(telegram_bot.WAITS, poll_seconds=0, grace_seconds=0.3, call_seconds=0.3, network=Growing(0.1, 1))
"""A poll is given up after 0.3 s, a run after 0.7."""


def prepare(house: House, supervisor: NotifySocket) -> None:
    """Let the house be supervised, and look at itself often."""
    house.intervals = QUICK
    house.notifier = Notifier(supervisor.address, watchdog_seconds=0.4)


async def until_told(house: House, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask for the status until it says so."""
    while True:
        told = await house.status()
        if holds(told):
            return told


async def signs_of(supervisor: NotifySocket, moment: Callable[[], Awaitable[object]]) -> int:
    """Return how many signs of life come in a moment."""
    before = supervisor.count("WATCHDOG")
    await moment()
    return supervisor.count("WATCHDOG") - before


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram_bot, "WAITS", IMPATIENT)


@pytest.mark.usefixtures("impatient")
async def test_a_poller_whose_connection_is_held_for_ever_is_begun_anew_and_named(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, open_bot(tmp_path) as bot:
        prepare(bot, supervisor)
        async with bot.run():
            bot.telegram.post("Hello")
            await bot.settled()
            await supervisor.until(lambda: supervisor.count("WATCHDOG") > 1)
            bot.telegram.enqueue("getUpdates", *[hang()] * 500)
            told = await until_told(bot, lambda told: told["stuck"] != [])
            signs = await signs_of(supervisor, lambda: until_restarted(bot, told["channels"][0]["restarts"] + 2))
            bot.telegram.forget_script()
            bot.telegram.post("Are you there?")
            await bot.settled(2)
            await until_told(bot, lambda told: told["stuck"] == [] and told["channels"][0]["fault"] == "")
            await supervisor.until(lambda: supervisor.statuses[-1].startswith("Answering on telegram"))

    assert told["stuck"] == ["telegram is stuck, though it was restarted"]
    assert told["channels"][0]["restarts"] >= 1
    assert told["channels"][0]["is_missing"]
    assert "it was silent for 0.7 s and is restarted" in told["channels"][0]["fault"]
    assert signs == 0
    assert any("telegram: it was silent" in status for status in supervisor.statuses)
    assert texts(bot.telegram.screen()) == ["You said: Hello", "You said: Are you there?"]


async def until_restarted(bot: Bot, times: int) -> None:
    """Wait until the channel was begun anew so often."""
    await until_told(bot, lambda told: told["channels"][0]["restarts"] >= times)


@pytest.mark.usefixtures("impatient")
async def test_a_platform_that_refuses_everything_is_told_and_takes_no_sign_of_life_away(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, open_bot(tmp_path) as bot:
        prepare(bot, supervisor)
        async with bot.run():
            bot.telegram.post("Hello")
            await bot.settled()
            bot.telegram.enqueue("getUpdates", *[failing()] * 500)
            told = await until_told(bot, lambda told: told["channels"][0]["is_missing"])
            before = supervisor.count("WATCHDOG")
            await supervisor.until(lambda: supervisor.count("WATCHDOG") > before + 3)
            later = await bot.status()

    assert told["stage"] in ("ready", "degraded")
    assert later["stuck"] == []
    assert later["channels"][0]["restarts"] == 0
    assert any("telegram: Telegram cannot be reached" in status for status in supervisor.statuses)


@pytest.mark.usefixtures("impatient")
async def test_a_platform_that_never_answered_is_told_and_the_daemon_is_ready_without_it(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, open_bot(tmp_path) as bot:
        prepare(bot, supervisor)
        bot.telegram.enqueue("getMe", *[hang()] * 500)
        async with bot.run():
            await supervisor.until(lambda: supervisor.count("READY") > 0)
            told = await until_told(bot, lambda told: told["stage"] == "degraded")
            before = supervisor.count("WATCHDOG")
            await supervisor.until(lambda: supervisor.count("WATCHDOG") > before + 3)

    assert told["stuck"] == []
    assert told["channels"][0]["is_missing"]
    ready = next(message["STATUS"] for message in supervisor.told if "READY" in message)
    assert ready.startswith("No channel is there")
    assert "telegram: " in ready


async def test_a_gateway_that_is_silent_is_begun_anew(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, open_discord_bot(tmp_path) as bot:
        prepare(bot, supervisor)
        bot.waits = replace(bot.waits, silent_seconds=60, connect_seconds=0.2, call_seconds=0.2)
        async with bot.run():
            await bot.connected()
            assert bot.channel is not None
            bot.channel.health.patience_seconds = 0.3
            bot.discord.gateway.mute()
            told = await until_told(bot, lambda told: told["channels"][0]["restarts"] > 0)
            bot.channel.health.patience_seconds = 60
            await bot.connected(2)
            bot.discord.post("Hello")
            await bot.shows("You said: Hello")

    assert told["channels"][0]["fault"].startswith("it was silent for")


async def test_a_gateway_that_only_greets_any_more_is_begun_anew_and_named(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, open_discord_bot(tmp_path) as bot:
        prepare(bot, supervisor)
        bot.waits = replace(bot.waits, silent_seconds=0.2, greeting_seconds=0.1)
        bot.discord.gateway.heartbeat_seconds = 0.05
        async with bot.run():
            await bot.connected()
            assert bot.channel is not None
            health = bot.channel.health
            await bot.until(lambda: health.is_heard)
            health.patience_seconds = 0.6
            bot.discord.gateway.only_greets = True
            bot.discord.gateway.drop()
            told = await until_told(bot, lambda told: told["stuck"] != [])
            bot.discord.gateway.only_greets = False
            await until_told(bot, lambda told: told["stuck"] == [] and told["channels"][0]["fault"] == "")
            bot.discord.post("Are you there?")
            await bot.shows("You said: Are you there?")

    assert told["stuck"] == ["discord is stuck, though it was restarted"]
    assert told["channels"][0]["restarts"] > 0


async def test_a_slack_that_only_greets_any_more_is_begun_anew_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_bot, "QUICK", replace(slack_bot.QUICK, ping_seconds=0.2))
    async with open_notify_socket(tmp_path) as supervisor, open_app(tmp_path) as app:
        prepare(app, supervisor)
        async with app.run():
            await app.hears()
            assert app.channel is not None
            health = app.channel.health
            await app.until(lambda: health.is_heard)
            health.patience_seconds = 1
            app.slack.lines.only_greets = True
            app.slack.lines.deafen()
            told = await until_told(app, lambda told: told["stuck"] != [])
            app.slack.lines.only_greets = False
            await until_told(app, lambda told: told["stuck"] == [] and told["channels"][0]["fault"] == "")
            app.slack.post("Are you there?")
            await app.shows("You said: Are you there?")

    assert told["stuck"] == ["slack is stuck, though it was restarted"]
    assert "showed no sign of life for 0.3 s" in told["channels"][0]["fault"]
    assert told["channels"][0]["restarts"] > 0
