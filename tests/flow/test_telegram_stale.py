"""These tests check a backlog on Telegram: old messages are reported once, and not sent to the model unasked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, BOB, Bot, open_bot
from tests.flow.soundness import check_sessions
from tests.platforms.telegram_server import texts

HOUR = 3_600


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


def write_backlog(bot: Bot, count: int, *, chat: int = ADA) -> None:
    """Let somebody have written so many messages, one in two minutes, the last of them an hour ago."""
    for number in range(count):
        date = int(time.time()) - HOUR - 120 * (count - number)
        bot.telegram.post(f"Old {number}", chat=chat, sender=chat, date=date)


async def test_62_old_messages_are_answered_by_one_notice(bot: Bot) -> None:
    write_backlog(bot, 62)
    async with bot.run():
        await bot.settled()

    [shown] = bot.telegram.screen()
    assert shown.text.startswith("While I was away you sent 62 messages (the last: “Old 61”).")
    [failure] = bot.records("failure")
    assert failure["reason"] == "stale"
    assert failure["answers"] == [record["seq"] for record in bot.records("user")]
    assert len(failure["answers"]) == 62
    assert bot.model.requests == []


async def test_what_was_written_over_hours_is_no_flood(bot: Bot) -> None:
    write_backlog(bot, 62)
    async with bot.run("[gate]\nmessages_per_minute = 2"):
        await bot.settled()

    assert len(bot.records("user")) == 62


async def test_a_backlog_after_the_first_hundred_updates_is_told_about_once_too(bot: Bot) -> None:
    write_backlog(bot, 130)
    async with bot.run():
        await bot.until(lambda: len(bot.records("user")) == 130)
        await bot.settled()

    assert len(bot.telegram.screen()) == 1


async def test_old_messages_and_a_fresh_one_make_one_request(bot: Bot) -> None:
    write_backlog(bot, 5)
    bot.telegram.post("Fresh")
    async with bot.run():
        await bot.settled()

    assert bot.asked() == ["\n\n".join([*(f"Old {number}" for number in range(5)), "Fresh"])]
    assert len(bot.telegram.screen()) == 1
    [reply] = bot.records("assistant")
    assert len(reply["answers"]) == 6
    assert bot.records("failure") == []


async def test_the_model_sees_a_stale_message_once_its_author_writes_again(bot: Bot) -> None:
    write_backlog(bot, 1)
    async with bot.run():
        await bot.settled()
        bot.telegram.post("Are you there?")
        await bot.settled(2)

    contents = [message.content for message in bot.model.requests[0].body.messages[1:]]
    assert contents == ["Old 0", "[No reply was given: stale.]", "Are you there?"]


async def test_each_person_is_told_about_their_own_backlog(bot: Bot) -> None:
    for chat in (ADA, BOB):
        write_backlog(bot, 3, chat=chat)
    async with bot.run():
        await bot.settled(2)

    for chat in (ADA, BOB):
        assert [text.partition(" (")[0] for text in texts(bot.telegram.screen(chat))] == [
            "While I was away you sent 3 messages"
        ]


async def test_how_old_is_too_old_can_be_set(bot: Bot) -> None:
    write_backlog(bot, 1)
    async with bot.run("[channels_config]\nstale_after_minutes = 100"):
        await bot.settled()

    assert bot.asked() == ["Old 0"]


async def test_an_old_command_is_obeyed(bot: Bot) -> None:
    bot.telegram.post("/help", date=int(time.time()) - HOUR)
    async with bot.run():
        await bot.settled()

    assert "/new" in bot.telegram.screen()[0].text
