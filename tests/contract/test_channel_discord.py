"""These tests check how the Discord channel takes in what people write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from channels.base import InboundDelete, InboundEdit, InboundMessage
from channels.markup.rich import plain
from tests.platforms.discord_rig import HERE, Rig, address, open_rig
from tests.platforms.discord_server import ADA, ADA_DM, BOB, BOT, SET_COMMANDS, Attachment, seconds_of

MEMBER_JOINS = 7


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


async def test_a_message_is_taken_as_it_was_written(rig: Rig) -> None:
    async with rig.running():
        number = rig.server.post("hello *you* 😀")
        [message] = await rig.takes(1)

    assert isinstance(message, InboundMessage)
    assert (message.address, message.author.id, message.author.name) == (HERE, str(ADA), "Ada")
    assert (message.message_id, message.text, message.is_direct) == (str(number), "hello *you* 😀", True)
    assert message.sent_at == datetime.fromtimestamp(seconds_of(number), UTC)
    assert message.author.username == "ada"


async def test_an_edit_is_taken_with_the_time_of_the_edit(rig: Rig) -> None:
    async with rig.running():
        number = rig.server.post("one")
        rig.server.post_edit(number, "two")
        [message, edit] = await rig.takes(2)

    assert isinstance(message, InboundMessage)
    assert isinstance(edit, InboundEdit)
    assert (edit.address, edit.message_id, edit.text, edit.author) == (HERE, str(number), "two", message.author)
    assert edit.edited_at > message.sent_at
    assert edit.is_direct


async def test_the_preview_of_a_link_is_no_edit(rig: Rig) -> None:
    async with rig.running():
        number = rig.server.post("see https://example.com/")
        rig.server.people.post_embeds(number, {"type": "link", "url": "https://example.com/", "title": "Example"})
        rig.server.post("after")
        await rig.takes(2)

    assert [type(inbound) for inbound in rig.took] == [InboundMessage, InboundMessage]


async def test_a_message_that_is_taken_back_is_its_authors(rig: Rig) -> None:
    async with rig.running():
        number = rig.server.post("one")
        rig.server.post_delete(number)
        [message, gone] = await rig.takes(2)

    assert isinstance(message, InboundMessage)
    assert isinstance(gone, InboundDelete)
    assert (gone.address, gone.author, gone.message_id) == (HERE, message.author, str(number))
    assert gone.is_direct


async def test_a_message_of_an_earlier_run_that_is_taken_back_in_private_is_that_persons(rig: Rig) -> None:
    number = rig.server.post("before")
    async with rig.running():
        rig.server.post_delete(number)
        [gone] = await rig.takes(1)

    assert isinstance(gone, InboundDelete)
    assert (gone.address, gone.author.id, gone.message_id, gone.is_direct) == (HERE, str(ADA), str(number), True)


async def test_in_a_server_the_deletion_of_an_unknown_message_is_counted(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    number = rig.server.post("before", channel=channel)
    async with rig.running():
        rig.server.post_delete(number)
        rig.server.post("after")
        await rig.takes(1)

    assert rig.channel.health.counts["deleted unknown"] == 1


async def test_in_a_server_the_bot_takes_what_is_said_to_it(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    async with rig.running():
        answer = await rig.channel.send(address(channel), plain("an answer"), "nonce")
        rig.server.post("among us", channel=channel)
        rig.server.post(f"<@{BOB}> hello", channel=channel)
        rig.server.post("@everyone hello", channel=channel)
        rig.server.post("hello", channel=channel, mention=True)
        rig.server.post(f"hello, <@!{BOT}> and <@{BOB}>", channel=channel)
        rig.server.post("and then?", channel=channel, reference=int(answer))
        took = await rig.takes(3)

    assert rig.texts == ["hello", "hello, @agentd and @Bob", "and then?"]
    assert {inbound.address for inbound in took} == {address(channel)}
    assert not any(inbound.is_direct for inbound in took if isinstance(inbound, InboundMessage))
    assert rig.channel.health.counts["unaddressed"] == 3


async def test_the_role_that_discord_made_for_the_bot_is_the_bot(rig: Rig) -> None:
    guild = rig.server.open_guild()
    channel = rig.server.open_channel(guild)
    own = {"id": "77", "name": "agentd", "permissions": "0", "position": 1, "tags": {"bot_id": str(BOT)}}
    own |= {"color": 0, "colors": {"primary_color": 0}, "hoist": False, "managed": True, "mentionable": False}
    async with rig.running():
        rig.server.gateway.push_raw({"op": 0, "t": "GUILD_ROLE_CREATE", "d": {"guild_id": str(guild), "role": own}})
        rig.server.post("<@&77> hello", channel=channel, more={"mention_roles": ["77"]})
        rig.server.post("<@&78> hello", channel=channel, more={"mention_roles": ["78"]})
        await rig.notices(lambda: rig.channel.health.counts["unaddressed"])

    assert rig.texts == ["hello"]


async def test_a_place_that_the_library_does_not_know_is_asked_for(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    thread = rig.server.open_thread(channel)
    rig.server.archive(thread)
    elsewhere = rig.server.post("hello", channel=channel, mention=True)
    async with rig.running():
        told = rig.server.history.as_event(rig.server.messages[elsewhere], reads_all=True)
        rig.server.gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": told | {"channel_id": str(thread)}})
        rig.server.gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": told | {"channel_id": "5"}})
        [message] = await rig.takes(1)
        await rig.notices(lambda: rig.channel.health.counts["nowhere"])

    assert message.address == address(channel, thread)


@pytest.mark.parametrize(("guilds", "texts"), [("all", ["one", "two"]), ("off", [])])
async def test_in_a_server_all_is_taken_or_nothing(guilds: str, texts: list[str]) -> None:
    async with open_rig(guilds=guilds) as rig:  # type: ignore[arg-type]
        channel = rig.server.open_channel(rig.server.open_guild())
        async with rig.running():
            rig.server.post("one", channel=channel)
            rig.server.post("two", channel=channel, mention=True)
            rig.server.post("in private")
            await rig.takes(len(texts) + 1)

        assert sorted(rig.texts) == sorted([*texts, "in private"])


async def test_a_thread_is_a_place_of_its_own_in_its_channel(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    async with rig.running():
        began = rig.server.post("let us talk", channel=channel)
        thread = rig.server.open_thread(channel, message=began)
        rig.server.post("hello", channel=thread, mention=True)
        [message] = await rig.takes(1)
        answer = await rig.channel.send(message.address, plain("hello to you"), "n")

    assert message.address == address(channel, thread)
    assert [shown.id for shown in rig.server.screen(thread)] == [int(answer)]


async def test_an_archived_thread_that_somebody_writes_in_is_known_again(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    thread = rig.server.open_thread(channel)
    rig.server.archive(thread)
    async with rig.running():
        rig.server.post("hello", channel=thread, mention=True)
        [message] = await rig.takes(1)

    assert message.address == address(channel, thread)


async def test_other_bots_webhooks_and_discord_itself_are_nobody(rig: Rig) -> None:
    rig.server.name_person(5, "parrot", is_bot=True)
    async with rig.running():
        rig.server.post("polly", author=5, channel=rig.server.open_dm(ADA))
        rig.server.post("news", author=6, channel=ADA_DM, webhook="feed")
        rig.server.post("", kind=MEMBER_JOINS)
        await rig.channel.send(HERE, plain("mine"), "n")
        rig.server.post("hello")
        await rig.takes(1)

    assert rig.texts == ["hello"]
    assert rig.channel.health.counts["bot"] == 2
    assert rig.channel.health.counts["service"] == 1


async def test_names_stand_for_the_numbers_of_people_channels_and_emoji(rig: Rig) -> None:
    guild = rig.server.open_guild()
    channel = rig.server.open_channel(guild, "plans")
    async with rig.running():
        rig.server.post(f"<@{BOT}>, ask <@{BOB}> in <#{channel}> <:wave:123> <a:dance:124> <#5>", channel=channel)
        await rig.takes(1)

    assert rig.texts == ["ask @Bob in #plans :wave: :dance: <#5>"]


async def test_a_command_after_the_bots_name_is_a_command_and_a_name_alone_is_a_call(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    async with rig.running():
        rig.server.post("/new", channel=channel, mention=True)
        rig.server.post("", channel=channel, mention=True)
        await rig.takes(2)

    assert [text.strip() for text in rig.texts] == ["/new", "@agentd"]


async def test_what_a_person_forwards_is_the_persons(rig: Rig) -> None:
    async with rig.running():
        number = rig.server.post("first")
        forwarded = {"content": "the words of another", "type": 0, "embeds": [], "attachments": []}
        forwarded |= {"timestamp": "2024-01-01T00:00:00+00:00", "edited_timestamp": None, "flags": 0}
        told = rig.server.history.as_event(rig.server.messages[number], reads_all=True)
        told |= {"id": str(number + 1), "content": "", "message_snapshots": [{"message": forwarded}]}
        rig.server.gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": told})
        await rig.takes(2)

    assert rig.texts == ["first", "the words of another"]


async def test_the_commands_are_listed_and_not_again_while_they_stay_the_same(rig: Rig) -> None:
    async with rig.running():
        await rig.until(lambda: rig.called(SET_COMMANDS))
    async with rig.running():
        rig.server.post("after that")
        await rig.takes(1)

    assert rig.server.commands.names == ["new", "help"]
    assert rig.called(SET_COMMANDS) == 1


async def test_a_message_of_files_alone_is_taken(rig: Rig) -> None:
    async with rig.running():
        rig.server.post("", attachments=[Attachment()])
        [message] = await rig.takes(1)

    assert isinstance(message, InboundMessage)
    assert [(file.name, file.media_type) for file in message.files] == [("notes.txt", "text/plain")]
