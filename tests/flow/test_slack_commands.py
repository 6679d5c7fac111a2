"""These tests check commands on Slack with the whole daemon: by `/agentd`, and in threads behind a `!`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentd.conversation.commands import COMMANDS
from channels.slack.intake import ELSEWHERE
from tests.flow.house import says
from tests.flow.slack_bot import App, open_app
from tests.flow.soundness import check_sessions
from tests.platforms.slack_behaviours import refusing
from tests.platforms.slack_server import ADA, BOB, BOT, DM, GENERAL

MPIM, FOREIGN = "G0MPIM0001", "D0FOREIGN1"


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


@pytest.mark.parametrize("name", [*COMMANDS, "flip"])
async def test_the_commands_behind_a_bang_and_a_slash_are_those_that_the_daemon_offers(app: App, name: str) -> None:
    app.further_commands = {"flip": "turn everything over"}
    async with app.run():
        await app.hears()
        app.slack.post(f"!{name}")
        app.slack.command("/agentd", name)
        app.slack.post("!flop")
        await app.until(lambda: len(app.records("command")) == 2 and app.is_taken)
        await app.shows("You said: !flop")

    assert [record["name"] for record in app.records("command")] == [name, name]
    assert app.asked() == ["!flop"]


async def test_a_command_in_a_group_of_people_belongs_to_the_group_and_not_to_its_direct_messages(app: App) -> None:
    app.slack.open_channel(MPIM, kind="mpim")
    async with app.run():
        await app.hears()
        app.slack.command("/agentd", "status", channel=MPIM)
        await app.shows("Model: test", MPIM)

    assert app.records("session")[0]["key"]["chat"] == MPIM


async def test_a_command_in_direct_messages_of_others_is_not_taken_and_its_sender_told_why(app: App) -> None:
    app.slack.open_channel(FOREIGN, kind="im").members.discard(BOT)
    async with app.run(allowed=f'["{ADA}"]'):
        await app.hears()
        asked = [app.slack.command("/agentd", "new", channel=FOREIGN, author=author) for author in (ADA, BOB)]
        await app.until(lambda: all(command.said for command in asked))
        app.slack.post("Hello")
        await app.settled()

    assert [command.said for command in asked] == [[ELSEWHERE]] * 2
    assert len(app.sessions()) == 1
    assert FOREIGN not in [params["channel"] for method, params in app.slack.calls if method == "chat.postMessage"]
    assert app.records("command") == []


async def test_where_slack_does_not_say_whose_direct_messages_they_are_no_code_is_shown(app: App) -> None:
    app.slack.enqueue("conversations.history", refusing("internal_error"))
    async with app.run(allowed="[]"):
        await app.hears()
        unsure = app.slack.command("/agentd", "help")
        await app.until(lambda: bool(unsure.said))

        assert app.slack.screen() == []

        app.slack.command("/agentd", "help")
        await app.shows("Your code is")


@pytest.mark.parametrize("is_private", [False, True])
async def test_a_command_in_a_channel_without_the_bot_is_not_taken_and_its_sender_told_why(
    app: App, *, is_private: bool
) -> None:
    channel = app.slack.open_channel("C0FOREIGN1", kind="group" if is_private else "channel")
    async with app.run():
        await app.hears()
        app.slack.mention("Hello", channel=channel.id)
        await app.settled()
        inside = app.slack.command("/agentd", "status", channel=channel.id)
        await app.shows("Model: test", channel.id)
        channel.members.discard(BOT)
        outside = app.slack.command("/agentd", "new", channel=channel.id)
        await app.until(lambda: bool(outside.said))

    assert inside.said[0].startswith("/status it is.")
    assert outside.said == [ELSEWHERE]
    assert len(app.records("command")) == 1
