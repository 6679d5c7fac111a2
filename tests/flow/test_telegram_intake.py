"""These tests check that split pastes and albums on Telegram become one question, and that edits count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, BOB, GROUP, Bot, open_bot
from tests.flow.house import says
from tests.flow.soundness import check_sessions
from tests.platforms.telegram_server import MOST_UNITS, Photo, texts

MODES = ("collect", "followup", "interrupt")
BEGINNING, REST = "word " * 818 + "words.", "And that is all."
BY_CHAT = '[channels_config]\nsession_scope = "chat"'


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


def busy(mode: str) -> str:
    return f'[agent]\nwhen_busy = "{mode}"'


async def answered(bot: Bot, count: int) -> None:
    """Wait until so many messages are answered, and all that is to be said is."""
    await bot.until(lambda: len({seq for reply in bot.records("assistant") for seq in reply["answers"]}) >= count)
    await bot.settled(len(bot.records("assistant")))


async def test_the_paste_of_these_tests_is_one_that_a_client_splits() -> None:
    assert len(BEGINNING) == MOST_UNITS


@pytest.mark.parametrize("mode", MODES)
async def test_a_paste_in_two_parts_is_one_request(bot: Bot, mode: str) -> None:
    async with bot.run(busy(mode)):
        bot.telegram.post(BEGINNING)
        await bot.until(lambda: bool(bot.records("user")))
        bot.telegram.post(REST)
        await answered(bot, 2)

    assert bot.asked() == [f"{BEGINNING}\n\n{REST}"]
    [reply] = bot.records("assistant")
    assert reply["answers"] == [record["seq"] for record in bot.records("user")]
    assert len(bot.telegram.screen()) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_paste_in_two_parts_behind_a_running_turn_is_one_request(bot: Bot, mode: str) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("I am ", "busy.", gate=gate))
    async with bot.run(busy(mode)):
        bot.telegram.post("Hello")
        await bot.shows("I am")
        bot.telegram.post(BEGINNING)
        await bot.until(lambda: len(bot.records("user")) == 2)
        bot.telegram.post(REST)
        await bot.until(lambda: len(bot.records("user")) == 3)
        gate.set()
        await answered(bot, 3)

    assert bot.asked()[-1].endswith(f"{BEGINNING}\n\n{REST}")
    assert not any(asked.endswith(BEGINNING) for asked in bot.asked())


@pytest.mark.parametrize("mode", MODES)
async def test_a_paste_is_one_request_though_the_daemon_restarts_between_its_parts(bot: Bot, mode: str) -> None:
    async with bot.run(f"{busy(mode)}\n[service]\ndrain_seconds = 0.1"):
        bot.telegram.post(BEGINNING)
        await bot.until(lambda: bool(bot.records("user")))
    bot.telegram.post(REST)
    async with bot.run(busy(mode)):
        await answered(bot, 2)

    assert bot.asked() == [f"{BEGINNING}\n\n{REST}"]


async def test_a_paste_without_a_rest_is_answered_all_the_same_after_a_restart(bot: Bot) -> None:
    async with bot.run("[service]\ndrain_seconds = 0.1"):
        bot.telegram.post(BEGINNING)
        await bot.until(lambda: bool(bot.records("user")))
    async with bot.run():
        await answered(bot, 1)

    assert bot.asked() == [BEGINNING]


async def test_a_long_paste_of_many_parts_is_one_request(bot: Bot) -> None:
    async with bot.run(busy("followup")):
        ids = bot.telegram.post_paste(" ".join(f"word{number}" for number in range(3_000)))
        await answered(bot, len(ids))

    assert len(ids) > 2
    assert len(bot.asked()) == 1


async def test_a_rest_that_comes_late_joins_what_began_with_a_greeting(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("Never shown.", gate=gate))
    async with bot.run("[agent]\ncollect_window_ms = 300"):
        bot.telegram.post("Hello")
        await bot.until(lambda: bool(bot.model.requests))
        bot.telegram.post(BEGINNING)
        await bot.until(lambda: len(bot.records("user")) == 2)
        began = time.monotonic()
        await bot.until(lambda: time.monotonic() - began > 0.4)
        bot.telegram.post(REST)
        await answered(bot, 3)

    assert bot.asked() == ["Hello", f"Hello\n\n{BEGINNING}\n\n{REST}"]


@pytest.mark.parametrize("mode", MODES)
async def test_an_album_is_one_turn_with_all_its_parts(bot: Bot, mode: str) -> None:
    async with bot.run(busy(mode)):
        ids = bot.telegram.post_album(
            [Photo(b"\xff\xd8 1"), Photo(b"\xff\xd8 2"), Photo(b"\xff\xd8 3")], "What are these?"
        )
        await answered(bot, 3)

    [reply] = bot.records("assistant")
    parts = bot.records("user")
    assert reply["answers"] == [part["seq"] for part in parts]
    assert [part["source"]["message_id"] for part in parts] == list(map(str, ids))
    assert len({part["album"] for part in parts}) == 1
    assert [part["goes_on"] for part in parts] == [True] * 3
    [request] = bot.model.requests
    assert len(request.body.messages[-1].images) == 3
    assert request.last_user_text.startswith("What are these?")
    assert len(bot.telegram.screen()) == 1


async def test_two_albums_in_a_row_are_two_questions_where_messages_are_answered_one_by_one(bot: Bot) -> None:
    for caption in ("First", "Second"):
        bot.telegram.post_album([Photo(), Photo()], caption)
    async with bot.run(busy("followup")):
        await answered(bot, 4)

    assert [asked.split("\n")[0] for asked in bot.asked()] == ["First", "Second"]


async def test_an_album_in_a_group_is_the_bots_where_one_caption_says_so(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post_album([Photo(), Photo()], "@agentd_bot look", chat=GROUP)
        bot.telegram.post_album([Photo(), Photo()], "for you all", chat=GROUP)
        await answered(bot, 2)

    [reply] = bot.records("assistant")
    assert len(reply["answers"]) == 2
    assert len(bot.records("user")) == 2


async def test_an_album_is_never_joined_with_what_another_writes(bot: Bot) -> None:
    bot.telegram.post_album([Photo(), Photo()], "@agentd_bot mine", sender=ADA, chat=GROUP)
    bot.telegram.post("@agentd_bot and mine", sender=BOB, chat=GROUP)
    async with bot.run(BY_CHAT):
        await answered(bot, 3)

    assert [len(reply["answers"]) for reply in bot.records("assistant")] == [2, 1]
    assert bot.asked()[1] == "[From 8, Person 8:]\n@agentd_bot and mine"


async def test_an_album_that_a_restart_cut_in_two_is_one_question(bot: Bot) -> None:
    async with bot.run("[service]\ndrain_seconds = 0.1"):
        bot.telegram.post("Look", media=Photo(), more={"media_group_id": "77"})
        await bot.until(lambda: bool(bot.records("user")))
    bot.telegram.post(media=Photo(), more={"media_group_id": "77"})
    async with bot.run(busy("followup")):
        await answered(bot, 2)

    assert len(bot.records("assistant")) == 1
    assert len(bot.model.requests[0].body.messages[-1].images) == 2


async def test_an_edit_of_a_waiting_message_replaces_its_text(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("I am ", "busy.", gate=gate))
    async with bot.run(busy("followup")):
        bot.telegram.post("First")
        await bot.shows("I am")
        waiting = bot.telegram.post("Secnd")
        bot.telegram.post_edit(waiting, "Second")
        await bot.until(lambda: bool(bot.records("edit")))
        gate.set()
        await answered(bot, 2)

    assert bot.asked() == ["First", "Second"]


async def test_an_edit_of_a_message_that_is_being_answered_shows_in_the_next_prompt(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("I am ", "busy.", gate=gate))
    async with bot.run():
        running = bot.telegram.post("Frist")
        await bot.shows("I am")
        bot.telegram.post_edit(running, "First")
        await bot.until(lambda: bool(bot.records("edit")))
        gate.set()
        await answered(bot, 1)
        bot.telegram.post("Second")
        await answered(bot, 2)

    assert bot.asked() == ["Frist", "Second"]
    assert bot.model.requests[1].body.messages[1].content == "First"


async def test_an_edit_of_an_answered_message_starts_no_turn(bot: Bot) -> None:
    async with bot.run():
        answered_id = bot.telegram.post("Frist")
        await answered(bot, 1)
        bot.telegram.post_edit(answered_id, "First")
        await bot.until(lambda: bool(bot.records("edit")))
        bot.telegram.post("Second")
        await answered(bot, 2)

    assert bot.asked() == ["Frist", "Second"]
    assert bot.model.requests[1].body.messages[1].content == "First"
    assert texts(bot.telegram.screen()) == ["You said: Frist", "You said: Second"]


async def test_an_edit_that_comes_twice_is_recorded_once(bot: Bot) -> None:
    now = int(time.time())
    async with bot.run():
        message_id = bot.telegram.post("Frist", date=now)
        await answered(bot, 1)
        for _ in range(2):
            bot.telegram.post_edit(message_id, "First", date=now + 5)
        bot.telegram.post_edit(message_id, "An older text", date=now + 1)
        await bot.until(lambda: bool(bot.records("edit")) and not bot.telegram.unconfirmed)

    assert [edit["content"] for edit in bot.records("edit")] == ["First"]


async def test_an_edit_of_what_was_not_for_the_bot_is_not_for_it_either(bot: Bot) -> None:
    async with bot.run():
        message_id = bot.telegram.post("Just between us", chat=GROUP)
        bot.telegram.post_edit(message_id, "@agentd_bot just between us", chat=GROUP)
        bot.telegram.post("@agentd_bot hello", chat=GROUP)
        await answered(bot, 1)

    assert bot.asked() == ["@agentd_bot hello"]
    assert bot.records("edit") == []
