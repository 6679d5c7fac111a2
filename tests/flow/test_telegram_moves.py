"""These tests check that a Telegram group that becomes a supergroup keeps its conversations under the new id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, BOB, GROUP, Bot, open_bot
from tests.flow.house import says
from tests.flow.soundness import check_sessions
from tests.platforms.telegram_server import texts

MOVED = -1_000_000_000_040
EVERYTHING = 'groups = "all"'


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


def last_prompt(bot: Bot) -> list[str]:
    return [message.content for message in bot.model.requests[-1].body.messages[1:]]


async def test_the_history_comes_along_and_replies_arrive_in_the_new_chat(bot: Bot) -> None:
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("One", chat=GROUP)
        await bot.settled()
        assert bot.telegram.migrate(GROUP) == MOVED
        bot.telegram.post("Two", chat=MOVED)
        await bot.settled(2)

    assert last_prompt(bot) == ["One", "You said: One", "Two"]
    assert texts(bot.telegram.screen(GROUP)) == ["You said: One"]
    assert texts(bot.telegram.screen(MOVED)) == ["You said: Two"]
    assert [path.stem for path in bot.sessions()] == [f"telegram~100~{GROUP}~~7"]


async def test_the_sessions_of_all_who_talked_there_move(bot: Bot) -> None:
    async with bot.run(channel=EVERYTHING):
        for count, sender in enumerate((ADA, BOB), start=1):
            bot.telegram.post(f"I am {sender}", sender=sender, chat=GROUP)
            await bot.settled(count)
        bot.telegram.migrate(GROUP)
        bot.telegram.post("Who am I?", sender=BOB, chat=MOVED)
        await bot.settled(3)

    assert last_prompt(bot) == ["I am 8", "You said: I am 8", "Who am I?"]


async def test_a_message_with_a_number_that_the_old_chat_had_too_is_a_new_one(bot: Bot) -> None:
    async with bot.run(channel=EVERYTHING):
        old = [bot.telegram.post(f"Old {number}", chat=GROUP) for number in range(5)]
        await bot.until(lambda: len(bot.records("user")) == 5)
        bot.telegram.migrate(GROUP)
        new = [bot.telegram.post(f"New {number}", chat=MOVED) for number in range(4)]
        await bot.until(lambda: len(bot.records("user")) == 9 and not bot.telegram.unconfirmed)
        await bot.until(
            lambda: (
                {seq for reply in bot.records("assistant") for seq in reply["answers"]}
                == {record["seq"] for record in bot.records("user")}
            )
        )
        await bot.settled(len(bot.records("assistant")))

    assert set(old) & set(new)
    assert [record["content"] for record in bot.records("user")[5:]] == [f"New {number}" for number in range(4)]


async def test_an_edit_in_the_new_chat_is_not_taken_for_one_of_the_old(bot: Bot) -> None:
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("a", chat=ADA)  # the numbers of private chats and groups go on together
        old = bot.telegram.post("Old", chat=GROUP)
        await bot.settled(2)
        bot.telegram.migrate(GROUP)
        ids = [bot.telegram.post(f"New {number}", chat=MOVED) for number in range(3)]
        await bot.until(lambda: not bot.telegram.unconfirmed)
        assert old in ids
        bot.telegram.post_edit(old, "Newer", chat=MOVED)
        await bot.until(lambda: bool(bot.records("edit")))
        await bot.until(lambda: len({seq for reply in bot.records("assistant") for seq in reply["answers"]}) >= 4)
        await bot.settled(len(bot.records("assistant")))

    [edit] = bot.records("edit")
    [of] = [record for record in bot.records("user", f"{GROUP}~") if record["seq"] == edit["of"]]
    assert of["source"] == {**of["source"], "chat": str(MOVED), "message_id": str(old)}


async def test_a_move_is_known_in_the_next_run(bot: Bot) -> None:
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("One", chat=GROUP)
        await bot.settled()
        bot.telegram.migrate(GROUP)
        await bot.until(lambda: not bot.telegram.unconfirmed)
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("Two", chat=MOVED)
        await bot.settled(2)

    assert last_prompt(bot) == ["One", "You said: One", "Two"]
    assert texts(bot.telegram.screen(MOVED)) == ["You said: Two"]


async def test_a_move_that_happened_while_the_daemon_was_down_is_followed(bot: Bot) -> None:
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("One", chat=GROUP)
        await bot.settled()
    bot.telegram.post("Two", chat=GROUP)
    bot.telegram.migrate(GROUP)
    bot.telegram.post("Three", chat=MOVED)
    async with bot.run(channel=EVERYTHING):
        await bot.until(lambda: "Three" in "".join(texts(bot.telegram.screen(MOVED))))
        await bot.until(lambda: len(bot.records("delivery")) == len(bot.records("assistant")))

    assert "One" in last_prompt(bot)
    assert "Two" in "".join(last_prompt(bot))


async def test_a_move_that_is_learnt_from_a_refused_send_alone_is_followed_and_kept(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("Here ", "it is.", gate=gate))
    async with bot.run('[channels_config]\nstream = "off"', channel=EVERYTHING):
        bot.telegram.post("One", chat=GROUP)
        await bot.until(lambda: bool(bot.model.requests) and not bot.telegram.unconfirmed)
        bot.telegram.migrate(GROUP)
        bot.telegram.updates.drop()
        gate.set()
        await bot.settled()
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("Two", chat=MOVED)
        await bot.settled(2)

    assert texts(bot.telegram.screen(MOVED)) == ["Here it is.", "You said: Two"]
    assert last_prompt(bot) == ["One", "Here it is.", "Two"]
    assert [delivery["state"] for delivery in bot.records("delivery")] == ["sent", "sent"]


async def test_a_reply_that_was_half_shown_before_the_move_is_whole_in_the_new_chat(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("The first half", " and the second.", gate=gate))
    async with bot.run(channel=EVERYTHING):
        bot.telegram.post("One", chat=GROUP)
        await bot.shows("The first half", GROUP)
        bot.telegram.migrate(GROUP)
        await bot.until(lambda: not bot.telegram.unconfirmed)
        gate.set()
        await bot.settled()

    assert texts(bot.telegram.screen(GROUP)) == ["The first half"]
    [shown] = bot.telegram.screen(MOVED)
    assert shown.text.endswith("The first half and the second.")
    [delivery] = bot.records("delivery")
    assert delivery["message_ids"] == [f"{MOVED}/{shown.message_id}"]


async def test_a_reply_that_a_move_and_a_restart_cut_is_whole_in_the_new_chat(bot: Bot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("The first half", " and the second.", gate=gate))
    async with bot.run("[service]\ndrain_seconds = 0.1", channel=EVERYTHING):
        bot.telegram.post("One", chat=GROUP)
        await bot.shows("The first half", GROUP)
        bot.telegram.migrate(GROUP)
        await bot.until(lambda: not bot.telegram.unconfirmed)
    bot.model.enqueue(says("Once more."))
    async with bot.run(channel=EVERYTHING):
        await bot.settled()

    [shown] = bot.telegram.screen(MOVED)
    assert shown.text.endswith("Once more.")
