"""These tests check what becomes of a message that comes while an answer is made, with the whole daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.bot import ADA, BOB, GROUP, Bot, open_bot
from tests.flow.house import says
from tests.platforms.openai_behaviours import hang, slow
from tests.platforms.telegram_server import texts

MODES = ["collect", "followup", "interrupt"]


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


def agent(**keys: Any) -> str:
    """Write the section `[agent]`, and let everyone say as much as they like."""
    lines = [f"{key} = {value!r}".replace("'", '"') for key, value in keys.items()]
    return "\n".join(("[gate]\nmessages_per_minute = 1000", "[agent]", *lines))


async def test_collect_asks_at_once_and_anew_when_a_message_follows_before_anything_is_visible(bot: Bot) -> None:
    bot.model.enqueue(hang())
    async with bot.run(agent(collect_window_ms=20_000)):
        bot.telegram.post("One")
        await bot.until(lambda: bot.asked() == ["One"])
        bot.telegram.post("Two")
        await bot.settled()

    [reply] = bot.records("assistant")

    assert [[m.content for m in asked.body.messages[1:]] for asked in bot.model.requests] == [["One"], ["One\n\nTwo"]]
    assert reply["answers"] == [record["seq"] for record in bot.records("user")]
    assert len(bot.telegram.screen(ADA)) == 1


async def test_the_first_request_waits_for_no_window(bot: Bot) -> None:
    async with bot.run(agent(collect_window_ms=20_000)):
        bot.telegram.post("One")
        await bot.settled()

    assert texts(bot.telegram.screen(ADA)) == ["You said: One"]


@pytest.mark.parametrize("mode", ["collect", "followup"])
async def test_what_comes_after_something_is_visible_is_the_next_turn(bot: Bot, mode: str) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ", and done.", gate=gate))
    async with bot.run(agent(when_busy=mode, collect_window_ms=20_000)):
        bot.telegram.post("One")
        await bot.shows("So far")
        bot.telegram.post("Two")
        await bot.until(lambda: len(bot.records("user")) == 2)
        gate.set()
        await bot.settled(2)

    assert bot.asked() == ["One", "Two"]
    assert texts(bot.telegram.screen(ADA)) == ["So far, and done.", "You said: Two"]


async def test_what_comes_after_the_window_is_the_next_turn_although_nothing_is_visible(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("", "done.", gate=gate))
    async with bot.run(agent(collect_window_ms=0)):
        bot.telegram.post("One")
        await bot.until(lambda: bot.asked() == ["One"])
        bot.telegram.post("Two")
        await bot.until(lambda: len(bot.records("user")) == 2)
        gate.set()
        await bot.settled(2)

    assert bot.asked() == ["One", "Two"]


async def test_followup_answers_one_at_a_time_in_order(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("0", gate=gate), *(says(f"answer {number}") for number in range(1, 5)))
    async with bot.run(agent(when_busy="followup")):
        for number in range(5):
            bot.telegram.post(f"{number}")
        await bot.until(lambda: len(bot.records("user")) == 5)
        gate.set()
        await bot.settled(5)

    assert bot.asked() == ["0", "1", "2", "3", "4"]
    assert [len(reply["answers"]) for reply in bot.records("assistant")] == [1] * 5
    assert texts(bot.telegram.screen(ADA)) == ["0", "answer 1", "answer 2", "answer 3", "answer 4"]


async def test_an_interrupted_message_belongs_to_the_next_answer_and_what_was_visible_is_edited_on(bot: Bot) -> None:
    bot.model.enqueue(slow(["About one", " ..."], asyncio.Event()), says("About both."))
    async with bot.run(agent(when_busy="interrupt")):
        bot.telegram.post("One")
        begun = await bot.shows("About one")
        bot.telegram.post("Two")
        await bot.settled()

    [reply] = bot.records("assistant")

    assert bot.asked() == ["One", "One\n\nTwo"]
    assert reply["answers"] == [record["seq"] for record in bot.records("user")]
    assert [(shown.message_id, shown.text) for shown in bot.telegram.screen(ADA)] == [(begun.message_id, "About both.")]
    assert bot.records("failure") == []


@pytest.mark.parametrize("mode", MODES)
async def test_people_who_share_a_session_are_never_answered_together(bot: Bot, mode: str) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("", "For Ada.", gate=gate))
    shared = '[channels_config]\nsession_scope = "chat"'
    async with bot.run(f"{agent(when_busy=mode, collect_window_ms=20_000)}\n{shared}", channel='groups = "all"'):
        bot.telegram.post("Ada's", sender=ADA, chat=GROUP)
        await bot.until(lambda: len(bot.asked()) == 1)
        bot.telegram.post("Bob's", sender=BOB, chat=GROUP)
        await bot.until(lambda: len(bot.records("user")) == 2)
        gate.set()
        await bot.settled(2)

    authors = {record["seq"]: record["source"]["author"]["id"] for record in bot.records("user")}

    assert len(bot.sessions()) == 1
    assert [[authors[seq] for seq in reply["answers"]] for reply in bot.records("assistant")] == [["7"], ["8"]]
    assert texts(bot.telegram.screen(GROUP))[0] == "For Ada."


async def test_forty_five_messages_that_wait_are_answered_twenty_twenty_and_five_and_none_is_refused(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ".", gate=gate))
    async with bot.run(agent(mailbox_size=20)):
        bot.telegram.post("First")
        await bot.shows("So far")
        for number in range(45):
            bot.telegram.post(f"message {number}")
        await bot.until(lambda: len(bot.records("user")) == 46)
        gate.set()
        await bot.settled(4)

    assert [len(reply["answers"]) for reply in bot.records("assistant")] == [1, 20, 20, 5]
    assert sorted(seq for reply in bot.records("assistant") for seq in reply["answers"]) == [
        record["seq"] for record in bot.records("user")
    ]
    assert bot.records("failure") == []


async def test_a_session_with_much_to_answer_lets_another_go_next(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("So far", ".", gate=gate))
    async with bot.run(agent(max_concurrent_turns=1, when_busy="followup")):
        for number in range(31):
            bot.telegram.post(f"Ada {number}", sender=ADA, chat=ADA)
        await bot.until(lambda: len(bot.records("user")) == 31)
        bot.telegram.post("Bob", sender=BOB, chat=BOB)
        await bot.until(lambda: len(bot.records("user", session="~8.")) == 1)
        gate.set()
        await bot.until(lambda: len(bot.asked()) >= 4)

    assert bot.asked()[:4].index("Bob") in (1, 2)


async def test_new_during_a_turn_settles_what_came_before_and_then_resets(bot: Bot) -> None:
    bot.model.enqueue(slow(["Half an answer", " ..."], asyncio.Event()))
    async with bot.run(agent()):
        bot.telegram.post("One")
        await bot.shows("Half an answer")
        bot.telegram.post("/new")
        await bot.shows("A new conversation")
        bot.telegram.post("Two")
        await bot.settled(3)

    kinds = [record["type"] for record in bot.records()]

    assert kinds.index("reset") > [record.get("role") for record in bot.records()].index("assistant")
    assert bot.records("assistant")[0]["outcome"] == "interrupted"
    assert texts(bot.telegram.screen(ADA))[0] == "Half an answer\n[stopped]"
    assert [message.content for message in bot.model.requests[-1].body.messages[1:]] == ["Two"]


async def test_stop_before_the_first_word_is_a_failure_with_that_reason(bot: Bot) -> None:
    bot.model.enqueue(hang())
    async with bot.run(agent()):
        bot.telegram.post("One")
        await bot.until(lambda: len(bot.asked()) == 1)
        bot.telegram.post("/stop")
        await bot.settled(2)

    [failure] = bot.records("failure")

    assert (failure["reason"], failure["answers"]) == ("stopped", [bot.records("user")[0]["seq"]])
    assert texts(bot.telegram.screen(ADA)) == ["Stopped."]


async def test_stop_after_some_words_keeps_them_with_a_mark(bot: Bot) -> None:
    bot.model.enqueue(slow(["Half an answer", " ..."], asyncio.Event()))
    async with bot.run(agent()):
        bot.telegram.post("One")
        await bot.shows("Half an answer")
        bot.telegram.post("/stop")
        await bot.settled(2)

    [reply] = bot.records("assistant")

    assert (reply["content"], reply["outcome"]) == ("Half an answer", "interrupted")
    assert texts(bot.telegram.screen(ADA)) == ["Half an answer\n[stopped]"]
    assert bot.records("failure") == []
