"""These tests check the whole daemon against a Telegram that enforces the published rate limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.flow.bot import ADA, Bot, open_bot
from tests.flow.house import says
from tests.platforms.botapi.budget import late_seconds
from tests.platforms.openai_server import Behaviour, Call
from tests.platforms.telegram_behaviours import too_many_requests
from tests.platforms.telegram_server import Limits, texts

CHATS = [*range(1_001, 1_013), *range(-1_008, -1_000)]
"""Twelve people, and eight groups."""

ACCEPTED_SECONDS = 2.0


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


def streams(pieces: int, said_at: dict[int, float]) -> Behaviour:
    """Answer with so many pieces at the pace of a model, and note when a chat's last word was said."""

    async def behave(call: Call) -> web.StreamResponse:
        chat = int(call.asked.last_user_text)
        await call.open()
        for number in range(pieces):
            await call.say(f"{chat} {number} ")
            await asyncio.sleep(0.05)
        await call.say(f"end of {chat}")
        response = await call.finish()
        said_at[chat] = time.monotonic()
        return response

    return behave


@pytest.mark.parametrize("burst", [1, 3])
async def test_of_twenty_chats_at_once_no_final_is_late_and_no_wait_is_cut_short(bot: Bot, burst: int) -> None:
    limits = bot.telegram.limits = Limits(chat_burst=burst)
    said_at: dict[int, float] = {}
    late: dict[int, float] = {}
    bot.model.enqueue(*(streams(40 + 5 * number, said_at) for number in range(len(CHATS))))
    async with bot.run("[agent]\nmax_concurrent_turns = 20", channel='groups = "all"'):
        for chat in CHATS:
            bot.telegram.post(str(chat), sender=abs(chat), chat=chat)
        for chat in CHATS:
            await bot.shows(f"end of {chat}", chat)
        await bot.settled(len(CHATS))
    for chat in CHATS:
        late[chat] = late_seconds(chat, said_at[chat], time.monotonic(), bot.telegram.effects, limits)
    drafts = sum(len(shown.past) for chat in CHATS for shown in bot.telegram.screen(chat))

    assert bot.telegram.violations == []
    assert max(late.values()) <= ACCEPTED_SECONDS
    assert drafts > 2 * len(CHATS)
    assert [len(bot.telegram.screen(chat)) for chat in CHATS] == [1] * len(CHATS)


async def test_a_first_draft_that_was_one_too_many_waits_and_the_answer_arrives(bot: Bot) -> None:
    bot.telegram.limits = Limits()
    bot.telegram.enqueue("sendMessage", too_many_requests(1))
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ", and done.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.shows("So far")
        gate.set()
        await bot.settled()

    assert bot.telegram.violations == []
    assert texts(bot.telegram.screen(ADA)) == ["So far, and done."]
    assert [draft["state"] for draft in bot.records("draft")] == ["sending", "sent"]
    assert bot.records("delivery")[0]["state"] == "sent"


async def test_an_edit_that_was_one_too_many_waits_and_the_answer_arrives(bot: Bot) -> None:
    bot.telegram.limits = Limits()
    bot.telegram.enqueue("editMessageText", too_many_requests(1))
    gate = asyncio.Event()
    bot.model.enqueue(says("So", " far", ", and done.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.shows("So far")
        gate.set()
        await bot.settled()

    assert bot.telegram.violations == []
    assert texts(bot.telegram.screen(ADA)) == ["So far, and done."]


async def test_a_final_that_was_refused_twice_in_a_row_arrives_and_no_wait_was_cut_short(bot: Bot) -> None:
    bot.telegram.limits = Limits()
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ", and done.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.shows("So far")
        bot.telegram.enqueue("editMessageText", too_many_requests(1), too_many_requests(1))
        gate.set()
        await bot.settled()

    assert bot.telegram.violations == []
    assert texts(bot.telegram.screen(ADA)) == ["So far, and done."]
    assert len(bot.records("delivery")) == 1


async def test_a_chat_that_must_rest_for_long_holds_up_no_other_and_is_not_called(bot: Bot) -> None:
    bot.telegram.limits = Limits()
    bot.telegram.enqueue("sendMessage", too_many_requests(3_600))
    async with bot.run("[service]\ndrain_seconds = 1"):
        bot.telegram.post("Hello")
        await bot.until(lambda: not bot.telegram.has_script("sendMessage"))
        bot.telegram.post("Hi", sender=8, chat=8)
        await bot.shows("You said: Hi", chat=8)

    called = [params for method, params in bot.telegram.calls if "chat_id" in params]

    assert bot.telegram.violations == []
    assert [params["chat_id"] for params in called].count(str(ADA)) == 1
    assert bot.records("assistant", session="~7.")[0]["content"] == "You said: Hello"
