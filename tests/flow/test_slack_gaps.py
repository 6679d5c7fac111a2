"""These tests check Slack while the daemon is away or its connection breaks: everything is answered, once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.slack_bot import App, open_app
from tests.flow.soundness import check_sessions
from tests.platforms.slack_server import GENERAL

PEOPLE = [f"U0PERSON{number:02}" for number in range(50)]


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def test_what_was_said_while_the_daemon_was_down_is_answered_once(app: App) -> None:
    app.slack.deliveries.retry_seconds = ()
    async with app.run():
        await app.hears()
        app.slack.post("Hello")
        root = app.slack.mention("In a thread")
        await app.settled(2)
    app.slack.post("While you were away")
    app.slack.post("And here", channel=GENERAL, thread=root)
    other = app.slack.mention("And a new one")
    async with app.run():
        await app.until(lambda: len(app.asked()) == 5)
        await app.settled(5)
    async with app.run():
        await app.hears()
        app.slack.post("Back")
        await app.settled(6)

    assert sorted(app.asked()) == sorted(
        ["Hello", "In a thread", "While you were away", "And here", "And a new one", "Back"]
    )
    assert [shown.seen for shown in app.slack.screen(GENERAL, other)] == ["You said: And a new one"]
    assert len(app.slack.screen(None)) == 6


async def test_what_was_said_too_long_ago_is_told_about_and_not_answered(app: App) -> None:
    async with app.run():
        await app.hears()
        app.slack.post("Hello", at=time.time() - 9_000)
        await app.until(lambda: len(app.records("delivery")) == 1)
    for number in range(3):
        app.slack.post(f"Old {number}", at=time.time() - 8_000 + number, unheard=True)
    async with app.run():
        await app.until(lambda: len(app.records("user")) == 4)
        await app.until(lambda: len(app.records("failure")) == 2)
        await app.settled(2)

    assert app.asked() == []
    assert len(app.slack.screen()) == 2


async def test_a_refresh_a_broken_connection_and_a_lost_network_under_load_lose_and_double_nothing(app: App) -> None:
    app.slack.deliveries.retry_seconds = (0, 0.3)
    app.slack.deliveries.ack_seconds = 0.5
    async with app.run('[channels_config]\nstream = "off"'):
        await app.hears()
        for number, person in enumerate(PEOPLE):
            app.slack.post(f"one {number}", author=person)
        await app.until(lambda: len(app.records("user")) >= 25)
        app.slack.disconnect("refresh_requested", close_seconds=0.2)
        for number, person in enumerate(PEOPLE):
            app.slack.post(f"two {number}", author=person)
        await app.until(lambda: len(app.records("user")) >= 75)
        app.slack.drop()
        for number, person in enumerate(PEOPLE):
            app.slack.post(f"three {number}", author=person)
        app.slack.refuse_connections = True
        await app.until(lambda: app.channel is not None and "cannot be reached" in app.channel.health.fault)
        app.slack.refuse_connections = False
        await app.until(lambda: len(app.records("user")) == 150)
        await app.until(lambda: app.is_taken)
        await app.until(
            lambda: (
                sum(len(record["answers"]) for record in app.records("assistant")) == 150
                and len(app.records("delivery")) == len(app.records("assistant"))
            )
        )

    wanted = [f"{what} {number}" for what in ("one", "two", "three") for number in range(len(PEOPLE))]
    sent = [message_id for record in app.records("delivery") for message_id in record["message_ids"]]

    assert sorted(record["content"] for record in app.records("user")) == sorted(wanted)
    assert sorted(seq for record in app.records("assistant") for seq in record["answers"]) == sorted(
        record["seq"] for record in app.records("user")
    )
    assert len(sent) == len(set(sent))
    doubles = len(app.slack.screen(None)) - len(sent)
    assert doubles <= sum(record["state"] == "uncertain" for record in app.records("delivery"))
