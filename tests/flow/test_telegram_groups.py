"""These tests check topics and groups on Telegram: who is answered, where, and from which conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, BOB, FORUM, GROUP, Bot, open_bot
from tests.flow.soundness import check_sessions
from tests.platforms.telegram_server import texts

SUPERGROUP = -1000000000077
OTHER_BOT = 99

BY_CHAT = '[channels_config]\nsession_scope = "chat"'


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


def names(bot: Bot) -> list[str]:
    return [path.stem for path in bot.sessions()]


def prompts(bot: Bot) -> list[list[str]]:
    """Return each request's messages but for the system's."""
    return [[message.content for message in request.body.messages[1:]] for request in bot.model.requests]


async def test_topics_of_one_forum_are_conversations_of_their_own(bot: Bot) -> None:
    cats, dogs = (bot.telegram.open_topic(FORUM, name) for name in ("Cats", "Dogs"))
    async with bot.run():
        for count, (word, thread) in enumerate((("miaow", cats), ("woof", dogs), ("purr", cats)), start=1):
            bot.telegram.post(f"@agentd_bot {word}", chat=FORUM, thread=thread)
            await bot.settled(count)

    assert names(bot) == [f"telegram~100~{FORUM}~{cats}~7", f"telegram~100~{FORUM}~{dogs}~7"]
    assert texts(bot.telegram.screen(FORUM, cats)) == ["You said: @agentd_bot miaow", "You said: @agentd_bot purr"]
    assert texts(bot.telegram.screen(FORUM, dogs)) == ["You said: @agentd_bot woof"]
    assert prompts(bot)[2] == ["@agentd_bot miaow", "You said: @agentd_bot miaow", "@agentd_bot purr"]


async def test_the_general_topic_is_the_forum_itself(bot: Bot) -> None:
    bot.telegram.open_topic(FORUM, "Cats")
    async with bot.run():
        bot.telegram.post("@agentd_bot hello", chat=FORUM)
        await bot.settled()

    assert names(bot) == [f"telegram~100~{FORUM}~~7"]
    assert [shown.thread for shown in bot.telegram.screen(FORUM)] == [None]


async def test_replies_in_a_supergroup_without_topics_are_no_threads(bot: Bot) -> None:
    async with bot.run():
        first = bot.telegram.post("@agentd_bot one", chat=SUPERGROUP)
        await bot.settled()
        bot.telegram.post("@agentd_bot two", chat=SUPERGROUP, reply_to=first)
        await bot.settled(2)

    assert names(bot) == [f"telegram~100~{SUPERGROUP}~~7"]
    assert [shown.thread for shown in bot.telegram.screen(SUPERGROUP)] == [None, None]
    assert len(prompts(bot)[1]) == 3


async def test_in_a_group_only_what_mentions_the_bot_or_replies_to_it_is_read(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Just between us", chat=GROUP)
        bot.telegram.post("@Agentd_Bot hello", chat=GROUP)
        await bot.settled()
        [shown] = bot.telegram.screen(GROUP)
        bot.telegram.post("And then?", chat=GROUP, reply_to=shown.message_id)
        bot.telegram.post("Not for you, @agentd_bots", chat=GROUP)
        await bot.settled(2)

    assert bot.asked() == ["@Agentd_Bot hello", "And then?"]
    assert bot.channel is not None
    assert bot.channel.health.counts["unaddressed"] == 2


async def test_a_group_can_be_read_whole(bot: Bot) -> None:
    async with bot.run(channel='groups = "all"'):
        bot.telegram.post("Anyone there?", chat=GROUP)
        await bot.settled()

    assert bot.asked() == ["Anyone there?"]


async def test_a_group_can_be_left_alone(bot: Bot) -> None:
    async with bot.run(channel='groups = "off"'):
        bot.telegram.post("@agentd_bot hello", chat=GROUP)
        bot.telegram.post("Hello", chat=ADA)
        await bot.settled()

    assert bot.asked() == ["Hello"]
    assert names(bot) == ["telegram~100~7~~7"]


async def test_each_sender_in_a_group_has_a_session_of_their_own(bot: Bot) -> None:
    async with bot.run():
        for count, (sender, text) in enumerate(((ADA, "I am Ada"), (BOB, "I am Bob"), (ADA, "Who am I?")), start=1):
            bot.telegram.post(f"@agentd_bot {text}", sender=sender, chat=GROUP)
            await bot.settled(count)

    assert names(bot) == [f"telegram~100~{GROUP}~~7", f"telegram~100~{GROUP}~~8"]
    assert prompts(bot)[1] == ["@agentd_bot I am Bob"]
    assert prompts(bot)[2] == ["@agentd_bot I am Ada", "You said: @agentd_bot I am Ada", "@agentd_bot Who am I?"]


async def test_with_the_scope_chat_everyone_in_a_group_shares_one_session(bot: Bot) -> None:
    async with bot.run(BY_CHAT):
        for count, (sender, text) in enumerate(((ADA, "I am Ada"), (BOB, "I am Bob")), start=1):
            bot.telegram.post(f"@agentd_bot {text}", sender=sender, chat=GROUP)
            await bot.settled(count)

    assert names(bot) == [f"telegram~100~{GROUP}~~"]
    assert prompts(bot)[1] == [
        "[From 7, Person 7:]\n@agentd_bot I am Ada",
        "You said: [From 7, Person 7:]\n@agentd_bot I am Ada",
        "[From 8, Person 8:]\n@agentd_bot I am Bob",
    ]
    assert [record["source"]["author"]["id"] for record in bot.records("user")] == ["7", "8"]


async def test_two_people_who_share_a_session_are_answered_one_by_one(bot: Bot) -> None:
    bot.telegram.post("@agentd_bot one", sender=ADA, chat=GROUP)
    bot.telegram.post("@agentd_bot two", sender=BOB, chat=GROUP)
    async with bot.run(BY_CHAT):
        await bot.settled(2)

    assert [len(record["answers"]) for record in bot.records("assistant")] == [1, 1]
    assert bot.asked() == ["[From 7, Person 7:]\n@agentd_bot one", "[From 8, Person 8:]\n@agentd_bot two"]


async def test_a_command_for_another_bot_is_nobodys(bot: Bot) -> None:
    async with bot.run(channel='groups = "all"'):
        bot.telegram.post("/new@other_bot", chat=GROUP)
        bot.telegram.post("Hello", chat=GROUP)
        await bot.settled()

    assert bot.records("command") == []
    assert texts(bot.telegram.screen(GROUP)) == ["You said: Hello"]


async def test_other_bots_are_ignored(bot: Bot) -> None:
    bot.telegram.name_person(OTHER_BOT, "Otto", "other_bot", is_bot=True)
    async with bot.run(channel='groups = "all"'):
        bot.telegram.post("@agentd_bot hello, colleague", sender=OTHER_BOT, chat=GROUP)
        bot.telegram.post("Hello", chat=GROUP)
        await bot.settled()

    assert bot.asked() == ["Hello"]
    assert bot.channel is not None
    assert bot.channel.health.counts["bot"] == 1


async def test_service_noise_is_ignored_and_counted(bot: Bot) -> None:
    noise: list[dict[str, object]] = [
        {"new_chat_title": "Friends"},
        {"group_chat_created": True},
        {"delete_chat_photo": True},
    ]
    async with bot.run(channel='groups = "all"'):
        for service in noise:
            bot.telegram.post(chat=GROUP, service=service)
        bot.telegram.post("Hello", chat=GROUP)
        await bot.settled()

    assert bot.asked() == ["Hello"]
    assert len(bot.telegram.screen(GROUP)) == 1
    assert bot.channel is not None
    assert bot.channel.health.counts["service"] == len(noise)
