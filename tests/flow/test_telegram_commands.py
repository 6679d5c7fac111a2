"""These tests check commands on Telegram, and the list of them that its clients show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentd.conversation.commands import COMMANDS
from tests.flow.bot import ADA, GROUP, Bot, open_bot
from tests.flow.house import says
from tests.flow.soundness import check_sessions
from tests.platforms.telegram_server import DOWNLOAD, Document, texts


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def answer(bot: Bot, text: str, chat: int = ADA) -> str:
    """Write this, and return what is shown for it."""
    count = len(bot.records("delivery"))
    bot.telegram.post(text, chat=chat)
    await bot.settled(count + 1)
    return bot.telegram.screen(chat)[-1].text


async def test_telegrams_clients_are_told_which_commands_there_are(bot: Bot) -> None:
    async with bot.run():
        await bot.until(lambda: any(name == "setMyCommands" for name, _ in bot.telegram.calls))
        await bot.until(lambda: bool(bot.telegram.methods.commands))

    [listed] = bot.telegram.methods.commands.values()
    assert {command["command"]: command["description"] for command in listed} == COMMANDS
    assert set(COMMANDS) == {
        "new", "stop", "retry", "compact", "memory", "remember", "forget", "status", "link", "help",
    }  # fmt: skip


async def test_start_greets_and_help_lists(bot: Bot) -> None:
    async with bot.run():
        greeting = await answer(bot, "/start")
        listed = await answer(bot, "/help")

    assert "Write a message" in greeting
    for name in COMMANDS:
        assert f"/{name}" in greeting
        assert f"/{name}" in listed
    assert bot.model.requests == []


async def test_an_unknown_command_says_which_exist(bot: Bot) -> None:
    async with bot.run():
        said = await answer(bot, "/dance now")

    assert said.startswith("There is no command /dance.")
    for name in COMMANDS:
        assert f"/{name}" in said


async def test_new_begins_a_conversation_without_what_was_said(bot: Bot) -> None:
    async with bot.run():
        await answer(bot, "Hello")
        assert (await answer(bot, "/new")).startswith("A new conversation.")
        await answer(bot, "Who am I?")

    assert [message.content for message in bot.model.requests[-1].body.messages[1:]] == ["Who am I?"]


async def test_stop_ends_a_reply_that_is_being_made(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("On and ", "on.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.shows("On and")
        bot.telegram.post("/stop")
        await bot.settled(2)

    assert texts(bot.telegram.screen()) == ["On and\n[stopped]"]
    [reply] = bot.records("assistant")
    assert reply["outcome"] == "interrupted"


async def test_stop_before_the_first_word_is_a_failure_that_says_so(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("Never.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.until(lambda: bool(bot.model.requests))
        bot.telegram.post("/stop")
        await bot.settled(2)

    assert texts(bot.telegram.screen()) == ["Stopped."]
    assert [failure["reason"] for failure in bot.records("failure")] == ["stopped"]


async def test_stop_without_a_reply_says_that_there_is_none(bot: Bot) -> None:
    async with bot.run():
        assert await answer(bot, "/stop") == "There is no reply to stop."


async def test_retry_asks_the_last_question_once_more(bot: Bot) -> None:
    bot.model.enqueue(says("First."), says("Second."))
    async with bot.run():
        await answer(bot, "Hello")
        assert await answer(bot, "/retry") == "Second."
        await answer(bot, "And now?")

    contents = [message.content for message in bot.model.requests[-1].body.messages[1:]]
    assert contents == ["Hello", "Second.", "And now?"]


async def test_retry_of_a_picture_shows_the_picture_again(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Look", media=Document(b"\xff\xd8", "a.jpg", "image/jpeg"))
        await bot.settled()
        await answer(bot, "/retry")

    assert [len(request.body.messages[-1].images) for request in bot.model.requests] == [1, 1]


async def test_retry_with_nothing_to_retry_says_so(bot: Bot) -> None:
    async with bot.run():
        assert (await answer(bot, "/retry")).startswith("There is no message yet")


async def test_status_shows_the_model_and_the_conversation(bot: Bot) -> None:
    async with bot.run():
        await answer(bot, "Hello")
        status = await answer(bot, "/status")

    assert "Model: test" in status
    assert "1 turn" in status


async def test_a_command_in_a_group_that_names_the_bot_is_obeyed(bot: Bot) -> None:
    async with bot.run():
        await answer(bot, "@agentd_bot hello", GROUP)
        assert (await answer(bot, "/new@agentd_bot", GROUP)).startswith("A new conversation.")
        await answer(bot, "@agentd_bot again", GROUP)

    assert len(bot.model.requests[-1].body.messages) == 2


async def test_a_file_whose_caption_is_a_command_is_not_fetched(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("/help", media=Document())
        await bot.settled()

    assert DOWNLOAD not in {name for name, _ in bot.telegram.calls}
    assert "/new" in bot.telegram.screen()[0].text


async def test_a_path_is_no_command(bot: Bot) -> None:
    async with bot.run():
        await answer(bot, "/etc/hosts is what?")

    assert bot.asked() == ["/etc/hosts is what?"]
