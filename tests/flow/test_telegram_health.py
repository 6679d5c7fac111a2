"""These tests check that Telegram's faults are named, counted or remembered, while other people are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channels.health import Health
from tests.flow import bot as harness
from tests.flow.bot import ADA, BOB, Bot, open_bot
from tests.flow.soundness import check_sessions
from tests.platforms.botapi.updates import OTHER_POLL
from tests.platforms.telegram_behaviours import hang, refusing
from tests.platforms.telegram_server import texts


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


def health(bot: Bot) -> Health:
    assert bot.channel is not None
    return bot.channel.health


async def test_another_poller_is_named(bot: Bot) -> None:
    bot.telegram.enqueue("getUpdates", *[refusing(409, OTHER_POLL)] * 3)
    async with bot.run():
        await bot.until(lambda: bot.channel is not None and "409" in health(bot).fault)
        fault = health(bot).fault
        bot.telegram.post("Hello")
        await bot.settled()

    assert fault.startswith("another program polls with this bot's token (409)")
    assert health(bot).fault == ""
    assert texts(bot.telegram.screen()) == ["You said: Hello"]


async def test_who_has_blocked_the_bot_is_remembered_until_they_write_again(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
        bot.telegram.post("And?")
        bot.telegram.block(ADA)
        await bot.until(lambda: len(bot.records("delivery")) == 2)
        calls = len([name for name, _ in bot.telegram.calls if name == "sendMessage"])
        bot.telegram.unblock(ADA)
        bot.telegram.post("I am back")
        await bot.settled(3)

    assert [delivery["state"] for delivery in bot.records("delivery")] == ["sent", "failed", "sent"]
    assert calls <= 2
    assert texts(bot.telegram.screen()) == ["You said: Hello", "You said: I am back"]


async def test_a_poll_that_hangs_is_noticed(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "WAITS", replace(harness.WAITS, poll_seconds=1, grace_seconds=0.5))
    bot.telegram.enqueue("getUpdates", hang())
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()

    assert health(bot).counts["stalled"] == 1
    assert texts(bot.telegram.screen()) == ["You said: Hello"]


async def test_an_update_that_cannot_be_read_is_skipped_and_counted(bot: Bot) -> None:
    bot.telegram.post("Before")
    bot.telegram.push_raw({"message": {"message_id": "none", "chat": 7}})
    bot.telegram.push_raw({"message": None})
    bot.telegram.push_raw({"update_of_tomorrow": {"message_id": 1}})
    bot.telegram.post("After", sender=BOB, chat=BOB)
    async with bot.run():
        await bot.settled(2)

    assert health(bot).counts["unparsable"] == 1
    assert texts(bot.telegram.screen(ADA)) == ["You said: Before"]
    assert texts(bot.telegram.screen(BOB)) == ["You said: After"]
