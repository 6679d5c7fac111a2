"""These tests hold conversations on Discord with the whole daemon: in private, in servers and in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from agentd.errors import ConfigError
from channels.errors import RateLimited
from tests.flow.discord_bot import DiscordBot, open_discord_bot
from tests.flow.house import says
from tests.flow.soundness import check_sessions
from tests.platforms.discord_behaviours import too_many_requests
from tests.platforms.discord_rig import HERE
from tests.platforms.discord_server import ADA, ADA_DM, BOB, BOB_DM, MOST_CHARACTERS, PICTURE, TYPING, Attachment, texts
from tests.platforms.openai_behaviours import slow

WORDS = [f"word{number}" for number in range(700)]
LONG = " ".join(WORDS)
"""Three parts of 2,000."""

NOBODY = "[]"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[DiscordBot]:
    async with open_discord_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def test_a_message_in_private_is_answered(bot: DiscordBot) -> None:
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.settled()

    assert texts(bot.discord.screen()) == ["You said: Hello"]
    [session] = bot.sessions()
    assert bot.records("user")[0]["source"]["chat"] == str(ADA_DM)
    assert session.stem.startswith("discord")


async def test_a_reply_grows_by_edits_and_ends_as_discord_reads_it(bot: DiscordBot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("This is **bo", "ld** and 2*3", " *it*.", gate=gate))
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.shows("This is")
        gate.set()
        await bot.settled()
    [shown] = bot.discord.screen()

    assert shown.text == "This is **bold** and 2\\*3 _it_."
    assert shown.past
    assert all(before != after for before, after in pairwise((*shown.past, shown.text)))


async def test_a_long_answer_comes_in_parts_each_as_full_as_can_be(bot: DiscordBot) -> None:
    bot.model.enqueue(says(LONG))
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.settled()
    shown = texts(bot.discord.screen())

    assert " ".join(shown).split() == WORDS
    assert [MOST_CHARACTERS - 10 < len(text) <= MOST_CHARACTERS for text in shown[:-1]] == [True, True]
    assert [draft["state"] for draft in bot.records("draft")] == ["sending", "sent"] * 3


async def test_a_code_block_that_is_cut_is_closed_and_opened_again(bot: DiscordBot) -> None:
    code = "\n".join(f"    line({number})" for number in range(150))
    bot.model.enqueue(says(f"Look:\n```python\n{code}\n```\nThat is all."))
    async with bot.run():
        await bot.connected()
        bot.discord.post("Code?")
        await bot.settled()
    shown = texts(bot.discord.screen())

    assert len(shown) == 2
    assert [text.count("```") for text in shown] == [2, 2]
    assert "".join(shown).count("line(") == 150
    assert shown[1].startswith("```python\n    line(")


async def test_a_model_that_takes_its_time_is_seen_to_be_typing(bot: DiscordBot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(slow(["", "Here", " it is."], gate))
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.until(lambda: len(bot.discord.actions) == 1)
        gate.set()
        await bot.shows("Here")
        gate.set()
        await bot.settled()

    assert [action.channel for action in bot.discord.actions] == [ADA_DM]


async def test_in_a_server_each_person_and_each_thread_has_a_conversation_of_its_own(bot: DiscordBot) -> None:
    channel = bot.discord.open_channel(bot.discord.open_guild())
    async with bot.run('[channels_config]\nstream = "off"'):
        await bot.connected()
        bot.discord.post("among us", channel=channel)
        bot.discord.post("I am Ada", channel=channel, mention=True)
        await bot.settled(1)
        bot.discord.post("I am Bob", channel=channel, author=BOB, mention=True)
        await bot.settled(2)
        thread = bot.discord.open_thread(channel)
        bot.discord.post("In the thread", channel=thread, mention=True)
        await bot.settled(3)
        bot.discord.post("And?", channel=channel, reference=bot.discord.screen(channel)[0].id)
        await bot.settled(4)

    assert texts(bot.discord.screen(channel)) == ["You said: I am Ada", "You said: I am Bob", "You said: And?"]
    assert texts(bot.discord.screen(thread)) == ["You said: In the thread"]
    assert len(bot.sessions()) == 3
    assert [len(request.body.messages) for request in bot.model.requests] == [2, 2, 2, 4]


async def test_a_stranger_is_shown_a_code_in_private_and_nothing_in_a_server(bot: DiscordBot) -> None:
    channel = bot.discord.open_channel(bot.discord.open_guild())
    async with bot.run(allowed=NOBODY):
        await bot.connected()
        bot.discord.post("My secret", channel=channel, mention=True)
        bot.discord.post("My secret")
        await bot.shows("Your code is")

    assert bot.discord.screen(channel) == []
    assert bot.sessions() == []
    assert bot.model.requests == []


async def test_who_is_listed_by_id_or_name_may_talk(bot: DiscordBot) -> None:
    async with bot.run("[gate]\npairing = false", allowed=f'["{ADA}", "@bob"]'):
        await bot.connected()
        bot.discord.name_person(5, "eve")
        bot.discord.post("Hello", author=5)
        bot.discord.post("Hello from Ada")
        bot.discord.post("Hello from Bob", author=BOB)
        await bot.settled(2)

    assert texts(bot.discord.screen(BOB_DM)) == ["You said: Hello from Bob"]
    assert len(bot.sessions()) == 2


async def test_files_are_kept_read_and_shown(bot: DiscordBot) -> None:
    async with bot.run():
        await bot.connected()
        bot.discord.post("Look", attachments=[Attachment("notes.txt", b"the plan is simple"), PICTURE])
        await bot.settled()
        bot.discord.post("", attachments=[Attachment("a.mp3", b"x", "audio/mpeg")])
        await bot.settled(2)
    [request] = bot.model.requests

    assert "the plan is simple" in request.last_user_text
    assert len(request.body.messages[-1].images) == 1
    assert "cannot listen to audio files" in bot.discord.screen()[-1].text


async def test_edits_and_deletions_change_what_waits(bot: DiscordBot) -> None:
    gate = asyncio.Event()
    bot.model.enqueue(says("I am ", "busy.", gate=gate))
    async with bot.run('[agent]\nwhen_busy = "followup"'):
        await bot.connected()
        bot.discord.post("First")
        await bot.shows("I am")
        second, third = bot.discord.post("Secnd"), bot.discord.post("Third")
        bot.discord.post_edit(second, "Second")
        bot.discord.post_delete(third)
        await bot.until(lambda: bool(bot.records("delete")))
        gate.set()
        await bot.until(lambda: len(bot.records("assistant")) == 2)
        await bot.settled(2)

    assert bot.asked() == ["First", "Second"]


async def test_stop_ends_the_running_reply_and_new_begins_anew(bot: DiscordBot) -> None:
    bot.model.enqueue(slow(["So far", " and more"], asyncio.Event()))
    async with bot.run():
        await bot.connected()
        await bot.until(lambda: bool(bot.discord.commands.names))
        bot.discord.post("Hello")
        await bot.shows("So far")
        stop = bot.discord.interact("stop")
        await bot.settled(1)
        new = bot.discord.interact("new")
        await bot.until(lambda: bool(bot.records("reset")))
        bot.discord.post("Again")
        await bot.shows("You said: Again")
        answers = [bot.discord.interactions[number] for number in (stop, new)]
        await bot.until(lambda: all(answer.text for answer in answers))

    assert [reply["outcome"] for reply in bot.records("assistant")] == ["interrupted", "complete"]
    assert [answer.text for answer in answers] == ["/stop", "/new"]
    assert len(bot.model.requests[-1].body.messages) == 2
    assert bot.discord.commands.names == [
        "new", "stop", "retry", "compact", "memory", "remember", "forget", "status", "link", "help",
    ]  # fmt: skip
    asked_for = {command["name"]: command.get("options") or [] for command in bot.discord.commands.all}
    assert [name for name, options in asked_for.items() if options] == [
        "compact",
        "memory",
        "remember",
        "forget",
        "link",
    ]
    assert {option["required"] for name in ("remember", "forget") for option in asked_for[name]} == {True}


async def test_a_command_while_discord_wants_no_call_is_kept_and_obeyed_and_its_answer_follows(bot: DiscordBot) -> None:
    bot.discord.open_dm(ADA)
    bot.discord.enqueue(TYPING, too_many_requests(0.8, is_global=True))
    async with bot.run():
        await bot.connected()
        await bot.until(lambda: bool(bot.discord.commands.names))
        assert bot.channel is not None
        with pytest.raises(RateLimited):
            await bot.channel.show_typing(HERE)
        number = bot.discord.interact("help")
        await bot.until(lambda: bool(bot.records("command")))
        early = bot.discord.screen()
        answer = await bot.shows("/stop")
        await bot.settled()

    assert early == []
    assert bot.discord.interactions[number].answered_after is None
    assert [command["name"] for command in bot.records("command")] == ["help"]
    assert answer.text.startswith("/new")
    assert len(bot.discord.screen()) == 1


async def test_a_command_of_a_stranger_is_answered_by_the_same_line_and_obeyed_by_nobody(bot: DiscordBot) -> None:
    channel = bot.discord.open_channel(bot.discord.open_guild())
    async with bot.run(allowed=NOBODY):
        await bot.connected()
        await bot.until(lambda: bool(bot.discord.commands.names))
        number = bot.discord.interact("new", channel=channel)
        await bot.until(lambda: bool(bot.discord.interactions[number].text))

    assert bot.discord.interactions[number].is_ephemeral
    assert bot.discord.screen(channel) == []
    assert bot.sessions() == []


async def test_the_daemon_ends_quickly_and_says_goodbye(bot: DiscordBot) -> None:
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.settled()
        began = time.monotonic()

    assert time.monotonic() - began < 5
    assert bot.discord.gateway.closed[-1] == 1000


async def test_an_intent_that_is_not_switched_on_is_a_fault_of_the_configuration(bot: DiscordBot) -> None:
    bot.discord.gateway.allowed.clear()
    with pytest.raises(ExceptionGroup) as raised:
        async with bot.run():
            await bot.until(lambda: False)

    assert raised.value.subgroup(ConfigError) is not None


async def test_the_status_says_whether_discord_is_well(bot: DiscordBot) -> None:
    async with bot.run():
        await bot.connected()
        bot.discord.post("Hello")
        await bot.settled()
        assert bot.channel is not None
        health = bot.channel.health

        assert health.fault == ""
        assert health.silent_seconds is not None
