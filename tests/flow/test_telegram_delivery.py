"""These tests check how an answer is delivered by the whole daemon: in parts, with formatting, streamed or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.flow.bot import ADA, Bot, open_bot
from tests.flow.house import says
from tests.platforms.openai_behaviours import slow
from tests.platforms.telegram_behaviours import cannot_parse_entities, too_many_requests
from tests.platforms.telegram_server import MOST_UNITS, texts

WORDS = [f"word{number}" for number in range(1_400)]
LONG = " ".join(WORDS)
"""Three parts of 4,096."""


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


async def test_a_long_answer_comes_in_parts_each_as_full_as_can_be_and_journalled(bot: Bot) -> None:
    bot.model.enqueue(says(LONG))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
    shown = bot.telegram.screen(ADA)
    drafts = [(draft["part"], draft["state"], draft.get("message_id")) for draft in bot.records("draft")]

    assert len(shown) == 3
    assert " ".join(texts(shown)).split() == WORDS
    assert [MOST_UNITS - 10 < units(message.text) <= MOST_UNITS for message in shown[:-1]] == [True, True]
    assert drafts == [
        each
        for part, message in enumerate(shown)
        for each in ((part, "sending", None), (part, "sent", str(message.message_id)))
    ]
    assert bot.records("delivery")[0]["message_ids"] == [str(message.message_id) for message in shown]


async def test_marks_do_not_count_but_characters_of_two_units_do(bot: Bot) -> None:
    bot.model.enqueue(says(f"**{'b' * 4_096}**"), says("😀" * 2_049))
    async with bot.run():
        bot.telegram.post("Bold")
        await bot.settled()
        bot.telegram.post("Smile")
        await bot.settled(2)

    assert [units(message.text) for message in bot.telegram.screen(ADA)] == [4_096, 4_096, 2]


async def test_a_code_block_that_is_cut_is_closed_and_opened_again(bot: Bot) -> None:
    code = "\n".join(f"    line({number})" for number in range(400))
    bot.model.enqueue(says(f"Look:\n```python\n{code}\n```\nThat is all."))
    async with bot.run():
        bot.telegram.post("Code?")
        await bot.settled()
    shown = bot.telegram.screen(ADA)
    blocks = [[e for e in message.entities if e["type"] == "pre"] for message in shown]

    assert len(shown) == 2
    assert [(len(block), block[0]["language"]) for block in blocks] == [(1, "python"), (1, "python")]
    assert shown[1].text.startswith("    line(")
    assert "```" not in "".join(texts(shown))
    assert "".join(texts(shown)).count("line(") == 400


async def test_an_answer_grows_over_three_parts_of_which_the_full_ones_are_left_alone(bot: Bot) -> None:
    gate = asyncio.Event()
    third = len(LONG) // 3
    pieces = (LONG[:third], LONG[third : 2 * third], LONG[2 * third :], " and done.")
    bot.model.enqueue(says(*pieces, gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.until(lambda: WORDS[-1] in "".join(texts(bot.telegram.screen(ADA))))
        growing = bot.telegram.screen(ADA)
        gate.set()
        await bot.settled()
    shown = bot.telegram.screen(ADA)

    assert [message.message_id for message in growing] == [message.message_id for message in shown]
    assert " ".join(texts(shown)).split() == [*WORDS, "and", "done."]
    assert all(before != after for message in shown for before, after in pairwise((*message.past, message.text)))


async def test_the_parts_that_an_answer_made_anew_does_not_fill_are_removed(bot: Bot) -> None:
    bot.model.enqueue(slow([LONG, " ..."], asyncio.Event()), says("Short."))
    async with bot.run('[agent]\nwhen_busy = "interrupt"'):
        bot.telegram.post("Hello")
        await bot.until(lambda: len(bot.telegram.screen(ADA)) == 3)
        bot.telegram.post("Shorter, please")
        await bot.settled()

    [delivery] = bot.records("delivery")

    assert texts(bot.telegram.screen(ADA)) == ["Short."]
    assert (delivery["state"], len(delivery["message_ids"])) == ("sent", 1)


async def test_an_answer_by_retry_stands_below_the_first_which_stays(bot: Bot) -> None:
    bot.model.enqueue(says(LONG), says("Short."))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
        bot.telegram.post("/retry")
        await bot.settled(2)
    shown = texts(bot.telegram.screen(ADA))

    assert len(shown) == 4
    assert shown[-1] == "Short."


async def test_marks_that_are_refused_are_left_out_once_and_the_answer_is_sent(bot: Bot) -> None:
    bot.telegram.enqueue("sendMessage", cannot_parse_entities(3))
    bot.model.enqueue(says("This is **bold**."))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
    [shown] = bot.telegram.screen(ADA)
    sends = [params for method, params in bot.telegram.calls if method == "sendMessage"]

    assert (shown.text, shown.entities) == ("This is bold.", ())
    assert [bool(params.get("entities")) for params in sends] == [True, False]
    assert bot.records("delivery")[0]["state"] == "sent"
    assert [draft["state"] for draft in bot.records("draft")] == ["sending", "sent"]


@pytest.mark.parametrize("text", ["", " \n\n ", "\u200b\u2060\ufeff", "\u2800"])
async def test_an_answer_of_nothing_visible_is_a_failure_and_says_so(bot: Bot, text: str) -> None:
    bot.model.enqueue(says(text))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()

    assert [failure["reason"] for failure in bot.records("failure")] == ["empty"]
    assert bot.records("assistant") == []
    assert "answered with nothing" in texts(bot.telegram.screen(ADA))[0]


async def test_a_model_that_takes_its_time_is_seen_to_be_typing_until_the_reply_is_visible(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(slow(["", "Here", " it is."], gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.until(lambda: len(bot.telegram.actions) == 1)
        gate.set()
        await bot.shows("Here")
        gate.set()
        await bot.settled()

    assert [(action.chat, action.action) for action in bot.telegram.actions] == [(ADA, "typing")]
    assert bot.telegram.actions[0].at_seconds < bot.telegram.effects[-1].at_seconds


async def test_a_model_that_is_quick_is_not_seen_typing_also_where_it_goes_on_for_long(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("At once", ", and much later.", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        shown = await bot.shows("At once")
        [begun] = [effect for effect in bot.telegram.effects if effect.method == "sendMessage"]
        await bot.until(lambda: time.monotonic() > begun.at_seconds + 1.0)  # the sign would have been due after 0.7
        gate.set()
        await bot.settled()

    assert shown.past
    assert bot.telegram.actions == []


async def test_while_a_chat_must_rest_nobody_is_seen_typing_there(bot: Bot) -> None:
    bot.telegram.enqueue("sendMessage", too_many_requests(1))
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ".", gate=gate))
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.shows("So far")  # after a second, and the sign would have been due after 0.7
        gate.set()
        await bot.settled()

    assert bot.telegram.actions == []


async def test_with_streaming_off_there_is_one_message_and_no_edit(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("So", " far", ", and done.", gate=gate))
    async with bot.run('[channels_config]\nstream = "off"'):
        bot.telegram.post("Hello")
        await bot.until(lambda: len(bot.telegram.actions) == 1)
        assert bot.telegram.screen(ADA) == []
        gate.set()
        await bot.settled()

    assert texts(bot.telegram.screen(ADA)) == ["So far, and done."]
    assert [method for method, _ in bot.telegram.calls if method == "editMessageText"] == []
