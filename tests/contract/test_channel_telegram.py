"""These tests check how the Telegram channel takes in what people write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from channels.base import Address, InboundEdit, InboundMessage, InboundMove
from channels.markup.rich import plain
from tests.platforms.telegram_behaviours import raw
from tests.platforms.telegram_rig import HERE, Rig, open_rig
from tests.platforms.telegram_server import Photo


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


async def test_a_message_is_taken_as_it_was_written(rig: Rig) -> None:
    rig.server.name_person(7, "Ada", "ada")
    rig.server.post("hello *you* 😀", date=1_700_000_000)
    async with rig.running():
        [message] = await rig.takes(1)

    assert isinstance(message, InboundMessage)
    assert (message.address, message.author.id, message.author.name) == (HERE, "7", "Ada")
    assert (message.message_id, message.text) == ("1", "hello *you* 😀")
    assert message.sent_at.isoformat() == "2023-11-14T22:13:20+00:00"


async def test_an_edit_is_taken_with_the_time_of_the_edit(rig: Rig) -> None:
    rig.server.post_edit(rig.server.post("one", date=1_700_000_000), "two", date=1_700_000_060)
    async with rig.running():
        [_, edit] = await rig.takes(2)

    assert isinstance(edit, InboundEdit)
    assert (edit.address, edit.message_id, edit.text) == (HERE, "1", "two")
    assert edit.edited_at.isoformat() == "2023-11-14T22:14:20+00:00"


async def test_a_group_that_becomes_a_supergroup_moves_alone_between_what_came_before_and_after() -> None:
    async with open_rig(groups="all") as rig:
        rig.server.open_chat(-5)
        rig.gates["7"] = asyncio.Event()
        rig.server.post("in another chat")
        rig.server.post("before", chat=-5)
        new = rig.server.migrate(-5)
        rig.server.post("after", chat=new)
        async with rig.running():
            await rig.until(lambda: len(rig.offered) == 2)
            await rig.polled(4)
            held = len(rig.offered)
            rig.gates["7"].set()
            took = await rig.takes(5)
            await rig.confirmed()

        assert held == 2
        assert took[2:4] == [InboundMove(Address("telegram", "100", "-5"), str(new))] * 2
        assert isinstance(took[4], InboundMessage)
        assert (took[4].address.chat, took[4].text) == (str(new), "after")


async def test_an_album_whose_caption_names_the_bot_is_taken_whole_in_whatever_order_it_comes(rig: Rig) -> None:
    rig.server.open_chat(-5)
    for caption in ("", "look @agentd_bot", ""):
        rig.server.post(caption, chat=-5, media=Photo(), more={"media_group_id": "1"})
    rig.server.post_album([Photo(), Photo()], "not for it", chat=-5)
    async with rig.running():
        took = await rig.takes(3)
        await rig.until(lambda: rig.channel.health.counts["unaddressed"] == 2)

    assert [message.album for message in took if isinstance(message, InboundMessage) and message.goes_on] == ["1"] * 3


async def test_in_a_group_the_bot_takes_what_is_said_to_it(rig: Rig) -> None:
    rig.server.open_chat(-5)
    answer = await rig.channel.send(Address("telegram", "100", "-5"), plain("an answer"), "nonce")
    for text in ("among us", "@agentd_bot hello", "/new@other_bot", "/new@agentd_bot"):
        rig.server.post(text, chat=-5)
    rig.server.post("and then?", chat=-5, reply_to=int(answer))
    async with rig.running():
        await rig.takes(3)
        await rig.confirmed()

    assert rig.texts == ["@agentd_bot hello", "/new@agentd_bot", "and then?"]
    assert rig.channel.health.counts["unaddressed"] == 2


async def test_a_topic_is_part_of_the_address_and_its_creation_is_passed_over() -> None:
    async with open_rig(groups="all") as rig:
        thread = rig.server.open_topic(-1_000_000_000_005, "Plans")
        rig.server.post("in the topic", chat=-1_000_000_000_005, thread=thread)
        rig.server.post("in general", chat=-1_000_000_000_005)
        async with rig.running():
            took = await rig.takes(2)

        assert [message.address.thread for message in took] == [str(thread), None]
        assert rig.channel.health.counts["service"] == 1


@pytest.mark.parametrize(("reads_all", "warnings"), [(False, 1), (True, 0)])
async def test_a_bot_that_is_to_read_groups_and_may_not_says_what_to_do(*, reads_all: bool, warnings: int) -> None:
    async with open_rig(groups="all") as rig:
        rig.server.people.reads_all = reads_all
        with structlog.testing.capture_logs() as events:
            async with rig.running():
                await rig.polled(1)

        assert [event["event"] for event in events].count("groups_not_read") == warnings


async def test_a_paste_that_the_client_cut_says_that_it_goes_on(rig: Rig) -> None:
    rig.server.post_paste("word " * 2_000)
    async with rig.running():
        took = await rig.takes(3)

    assert [message.goes_on for message in took if isinstance(message, InboundMessage)] == [True, True, False]


async def test_the_commands_are_listed_and_not_again_while_they_stay_the_same(rig: Rig) -> None:
    async with rig.running():
        await rig.until(lambda: rig.called("setMyCommands"))
    async with rig.running():
        await rig.until(lambda: rig.called("getMyCommands") == 2)
        rig.server.post("after that")
        await rig.takes(1)
        await rig.confirmed()
    listed = [params for method, params in rig.server.calls if method == "setMyCommands"]

    assert [[command["command"] for command in params["commands"]] for params in listed] == [["new", "help"]]


async def test_commands_that_cannot_be_listed_are_no_fault(rig: Rig) -> None:
    rig.server.enqueue("getMyCommands", raw(b"", 400))
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)
        await rig.until(lambda: rig.called("getMyCommands"))
        await rig.confirmed()

    assert rig.called("setMyCommands") == 0
