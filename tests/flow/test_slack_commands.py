"""Commands on Slack through the whole daemon: by `/agentd`, and in threads behind a `!`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.house import says
from tests.flow.slack_bot import App, open_app
from tests.flow.soundness import check_sessions
from tests.platforms.slack_server import DM, GENERAL


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def test_slash_commands_are_answered_at_once_and_obeyed(app: App) -> None:
    async with app.run():
        await app.hears()
        app.slack.post("Hello")
        await app.settled()
        asked = app.slack.command("/agentd", "status")
        await app.shows("Model: test")
        new = app.slack.command("/agentd", "new")
        await app.until(lambda: bool(app.records("reset")))
        app.slack.post("Again")
        await app.until(lambda: len(app.asked()) == 2 and app.is_taken)
        await app.shows("You said: Again")

    assert (asked.said, new.said) == (["/status it is."], ["/new it is."])
    assert len(app.model.requests[-1].body.messages) == 2  # the system's, and this


async def test_a_stop_in_a_thread_ends_the_reply_that_is_being_made_there(app: App) -> None:
    gate = asyncio.Event()
    app.model.enqueue(says("I go on", " and on", gate=gate))
    async with app.run():
        await app.hears()
        root = app.slack.mention("Tell me everything")
        await app.shows("I go on", GENERAL)
        app.slack.post("!stop", channel=GENERAL, thread=root)
        await app.until(lambda: any(record["name"] == "stop" for record in app.records("command")))
        await app.settled(1)

    assert {shown.thread for shown in app.slack.screen(GENERAL)} == {root}
    assert [record["outcome"] for record in app.records("assistant")] in ([], ["interrupted"])


async def test_an_assistant_thread_shows_that_a_reply_is_being_made(app: App) -> None:
    gate = asyncio.Event()
    app.model.enqueue(says("", "Done.", gate=gate))
    async with app.run():
        await app.hears()
        thread = app.slack.open_assistant()
        app.slack.post("How do I bake bread?", thread=thread)
        await app.until(lambda: bool(app.slack.statuses))
        gate.set()
        await app.settled()

    assert app.slack.assistant.titles == {(DM, thread): "How do I bake bread?"}
    assert [(shown.thread, shown.seen) for shown in app.slack.screen() if shown.seen == "Done."] == [(thread, "Done.")]
