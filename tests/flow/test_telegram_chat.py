"""These tests hold a chat on Telegram with the whole daemon: what is said, what is shown, what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, Bot, open_bot
from tests.flow.house import says
from tests.platforms.telegram_server import texts


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


async def test_a_message_is_answered_and_both_are_on_record(bot: Bot) -> None:
    async with bot.run():
        message_id = bot.telegram.post("Hello", sender=ADA, chat=ADA)
        await bot.settled()

    assert texts(bot.telegram.screen(ADA)) == ["You said: Hello"]
    [said], [reply] = bot.records("user"), bot.records("assistant")
    assert said["source"]["message_id"] == str(message_id)
    assert said["source"]["chat"] == str(ADA)
    assert reply["answers"] == [said["seq"]]
    [delivery] = bot.records("delivery")
    assert delivery["state"] == "sent"
    assert delivery["message_ids"] == [str(shown.message_id) for shown in bot.telegram.screen(ADA)]
    assert bot.sessions()[0].name == "telegram~100~7~~7.jsonl"


async def test_a_reply_grows_by_edits_and_ends_formatted(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("So **far**", ", and `done`.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        growing = await bot.shows("So far")
        gate.set()
        await bot.settled()

    assert growing.past
    assert texts(bot.telegram.screen(ADA)) == ["So far, and done."]
    assert [(entity["type"], entity["offset"], entity["length"]) for entity in growing.entities] == [
        ("bold", 3, 3),
        ("code", 12, 4),
    ]


async def test_what_was_said_while_the_daemon_was_down_is_answered_once(bot: Bot) -> None:
    bot.telegram.post("Hello")
    async with bot.run():
        await bot.settled()
    async with bot.run():
        bot.telegram.post("Again")
        await bot.settled(2)

    assert bot.asked() == ["Hello", "Again"]
    assert texts(bot.telegram.screen(ADA)) == ["You said: Hello", "You said: Again"]
