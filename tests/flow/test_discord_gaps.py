"""These tests check that what was missed on Discord is answered once, and no answer is shown twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.discord_bot import DiscordBot, open_discord_bot
from tests.flow.house import says
from tests.flow.soundness import check_sessions
from tests.platforms.discord_behaviours import drop_after_effect, hold_after_effect, too_many_requests
from tests.platforms.discord_server import ADA_DM, BOB, BOB_DM, EDIT, SEND, Limits, dm_of, texts

HOUR = 3_600
PEOPLE = range(1_001, 1_021)


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[DiscordBot]:
    async with open_discord_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def test_what_was_written_while_the_daemon_was_down_is_answered_once(bot: DiscordBot) -> None:
    channel = bot.discord.open_channel(bot.discord.open_guild())
    thread = bot.discord.open_thread(channel)
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        bot.discord.post("Hello there", channel=thread, mention=True)
        await bot.settled(2)
    bot.discord.post("Are you there?")
    bot.discord.post("among us", channel=thread)
    bot.discord.post("And here?", channel=thread, mention=True)
    async with bot.run():
        await bot.settled(4)
    async with bot.run():
        await bot.connected(3)
        bot.discord.post("Now")
        await bot.settled(5)

    assert texts(bot.discord.screen()) == ["You said: Hello", "You said: Are you there?", "You said: Now"]
    assert texts(bot.discord.screen(thread)) == ["You said: Hello there", "You said: And here?"]


async def test_what_was_written_long_ago_is_told_about_in_one_notice(bot: DiscordBot) -> None:
    began = time.time() - 2 * HOUR
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello", at=began)
        await bot.settled()
    for number in range(5):
        bot.discord.post(f"Old {number}", at=began + 60 * (number + 1))
    async with bot.run():
        await bot.settled(2)

    assert bot.model.requests == []
    assert "While I was away you sent 5 messages" in bot.discord.screen()[-1].text


async def test_an_answer_that_a_stop_cut_off_from_its_receipt_is_not_shown_twice(bot: DiscordBot) -> None:
    bot.model.enqueue(says("An answer."), says("An answer."))
    bot.discord.enqueue(SEND, hold_after_effect())
    async with bot.run("[service]\ndrain_seconds = 0.1"):
        await bot.connected()
        bot.discord.post("Hello")
        await bot.until(bot.discord.held.is_set)
    bot.discord.released.set()
    async with bot.run():
        await bot.settled()

    assert texts(bot.discord.screen()) == ["An answer."]
    assert bot.records("delivery")[0]["state"] == "sent"


async def test_an_answer_whose_receipt_was_lost_is_not_shown_twice(bot: DiscordBot) -> None:
    bot.discord.enqueue(SEND, drop_after_effect())
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.settled()

    assert texts(bot.discord.screen()) == ["You said: Hello"]
    assert len({draft["message_id"] for draft in bot.records("draft") if draft["state"] == "sent"}) == 1


async def test_too_many_calls_delay_the_end_of_an_answer_and_lose_nothing(bot: DiscordBot) -> None:
    bot.discord.limits = Limits()
    bot.discord.enqueue(SEND, too_many_requests(0.3))
    bot.discord.enqueue(EDIT, too_many_requests(0.3))
    bot.model.enqueue(says("So", " far", " and", " on."))
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.settled()

    assert texts(bot.discord.screen()) == ["So far and on."]
    assert bot.discord.violations == []


async def test_who_blocked_the_bot_costs_nobody_else_an_answer(bot: DiscordBot) -> None:
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        bot.discord.block()
        bot.discord.post("Hello", author=BOB)
        await bot.settled(2)

    assert sorted(delivery["state"] for delivery in bot.records("delivery")) == ["failed", "sent"]
    assert texts(bot.discord.screen(BOB_DM)) == ["You said: Hello"]


async def talk(bot: DiscordBot, number: int) -> None:
    """Let everybody write one message."""
    for person in PEOPLE:
        bot.discord.post(f"{person} says {number}", author=person)
        await asyncio.sleep(0)


async def test_under_load_no_gap_loses_anything_or_has_it_answered_twice(bot: DiscordBot) -> None:
    gateway = bot.discord.gateway
    async with bot.run('[agent]\nwhen_busy = "followup"\n[channels_config]\nstream = "off"'):
        await bot.connected()
        await talk(bot, 0)
        await bot.settled(len(PEOPLE))
        gateway.drop()
        await talk(bot, 1)
        await bot.until(lambda: gateway.is_connected)
        gateway.invalidate(can_resume=False)
        await talk(bot, 2)
        await bot.connected(2)
        gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": {}})
        async with bot.discord.unreachable():
            await talk(bot, 3)
            gateway.forget_sessions()
        await bot.connected(3)
        await bot.settled(4 * len(PEOPLE))

    answered = Counter(bot.asked())
    assert sorted(answered) == sorted(f"{person} says {number}" for person in PEOPLE for number in range(4))
    for person in PEOPLE:
        wanted = [f"You said: {person} says {number}" for number in range(4)]
        assert sorted(texts(bot.discord.screen(dm_of(person)))) == wanted
    assert len(bot.records("user")) == 4 * len(PEOPLE)


async def test_a_gateway_that_ends_does_not_disturb_a_reply_that_is_being_made(bot: DiscordBot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ", and done.", gate=gate))
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.shows("So far", ADA_DM)
        bot.discord.gateway.forget_sessions()
        bot.discord.gateway.drop()
        await bot.connected(2)
        gate.set()
        await bot.settled()

    assert texts(bot.discord.screen()) == ["So far, and done."]
