"""These tests check the daily token budget: checked before the model is asked, and kept across runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, BOB, Bot, open_bot
from tests.platforms.telegram_server import texts


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


EACH, ALL = "[limits]\ntokens_per_person_per_day = 1500", "[limits]\ntokens_per_day = 1500"
"""An answer may take 1,024 tokens: there is room for one to `LONG`, and then for no other today."""

LONG = "word " * 300


async def test_who_has_used_up_a_day_is_told_so_and_the_model_is_not_asked(bot: Bot) -> None:
    async with bot.run(EACH):
        bot.telegram.post(LONG, sender=ADA, chat=ADA)
        await bot.settled()
        for number, text in enumerate(("/new", LONG), 2):
            bot.telegram.post(text, sender=ADA, chat=ADA)
            await bot.settled(number)

    assert bot.asked() == [LONG]
    told = texts(bot.telegram.screen(ADA))[-1]
    [failure] = bot.records("failure")
    assert "Your budget of tokens for today does not cover another answer: please write again in" in told
    assert failure["reason"] == "budget"
    assert failure["trace"] in told


async def test_a_budget_is_one_persons_and_outlives_a_restart(bot: Bot) -> None:
    async with bot.run(EACH):
        bot.telegram.post(LONG, sender=ADA, chat=ADA)
        await bot.settled()
    async with bot.run(EACH):
        bot.telegram.post("/new", sender=ADA, chat=ADA)
        bot.telegram.post(LONG, sender=ADA, chat=ADA)
        bot.telegram.post("Hello", sender=BOB, chat=BOB)
        await bot.settled(4)

    assert bot.asked() == [LONG, "Hello"]
    assert texts(bot.telegram.screen(BOB)) == ["You said: Hello"]


async def test_everybodys_budget_is_shared(bot: Bot) -> None:
    async with bot.run(ALL):
        bot.telegram.post(LONG, sender=ADA, chat=ADA)
        await bot.settled()
        bot.telegram.post(LONG, sender=BOB, chat=BOB)
        await bot.settled(2)

    assert bot.asked() == [LONG]
    assert "Everybody's budget" in texts(bot.telegram.screen(BOB))[-1]
