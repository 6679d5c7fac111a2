"""These tests check that discord.py works with the loopback Discord as with the real one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import discord
import pytest

from tests.platforms.discord_clients import Ears, open_bot
from tests.platforms.discord_server import (
    ADA,
    ADA_DM,
    BOB,
    BOT,
    PICTURE,
    Attachment,
    DiscordServer,
    seconds_of,
    texts,
)

Opened = tuple[DiscordServer, Ears]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_bot() as both:
        yield both


async def test_a_conversation_is_held_with_edits_deletions_and_typing(opened: Opened) -> None:
    server, client = opened
    asked = server.post("hello")
    message: discord.Message = await client.hears("message")
    await message.channel.typing()
    sent = await message.channel.send("hi", reference=message)
    changed = await sent.edit(content="hi there")
    other = await message.channel.send("away")
    await other.delete()
    await client.hears("raw_message_delete")

    assert (message.id, message.author.id, message.channel.id, message.content) == (asked, ADA, ADA_DM, "hello")
    assert isinstance(message.channel, discord.DMChannel)
    assert abs(time.time() - message.created_at.timestamp()) < 10
    assert (changed.content, changed.edited_at is not None) == ("hi there", True)
    assert texts(server.screen()) == ["hi there"]
    assert (server.screen()[0].past, server.screen()[0].reference, server.screen()[0].pings) == (["hi"], asked, [])
    assert [action.channel for action in server.actions] == [ADA_DM]
    assert [effect.method for effect in server.effects] == ["written", "send", "edit", "send", "delete"]
    assert client.texts == ["hello", "hi", "away"]


async def test_people_change_and_delete_what_they_wrote_and_previews_are_no_change_of_theirs(opened: Opened) -> None:
    server, client = opened
    first, second, third = server.post("one"), server.post("two"), server.post("three")
    server.post_edit(first, "one, changed")
    server.post_embeds(second, {"type": "link", "url": "http://a.example"})
    server.post_delete(first)
    server.post_purge(second, third)
    purge: discord.RawBulkMessageDeleteEvent = await client.hears("raw_bulk_message_delete")
    edits: list[discord.RawMessageUpdateEvent] = client.of("raw_message_edit")

    assert [edit.message.content for edit in edits] == ["one, changed", "two"]
    assert [edit.message.edited_at is not None for edit in edits] == [True, False]
    assert [gone.message_id for gone in client.of("raw_message_delete")] == [first]
    assert purge.message_ids == {second, third}


async def test_in_a_guild_people_mention_and_reply_and_others_write_too(opened: Opened) -> None:
    server, client = opened
    guild = server.open_guild("Friends")
    channel = server.open_channel(guild, "lobby")
    server.name_person(55, "otherbot", is_bot=True)
    asked = server.post("what?", channel=channel, author=BOB, mention=True)
    await client.hears("message")
    room = client.get_channel(channel)
    assert isinstance(room, discord.TextChannel)
    answer = await room.send("this", reference=client.of("message")[0])
    server.post("thanks", channel=channel, author=BOB, reference=answer.id)
    server.post("beep", channel=channel, author=55)
    server.post("news", channel=channel, author=66, webhook="Feed")
    server.post("", channel=channel, author=ADA, kind=7)
    await client.hears("message", 6)
    mention, own, reply, beep, news, joined = client.of("message")

    assert (mention.guild.name, mention.channel.name, mention.author.name) == ("Friends", "lobby", "bob")
    assert [user.id for user in mention.mentions] == [user.id for user in reply.mentions] == [BOT]
    assert (own.author.id, own.reference.message_id, own.mentions) == (BOT, asked, [])
    assert (reply.reference.resolved.content, reply.type) == ("this", discord.MessageType.reply)
    assert (beep.author.bot, beep.webhook_id, news.webhook_id) == (True, None, 66)
    assert joined.is_system()


async def test_threads_begin_on_a_message_or_by_themselves_and_are_closed_and_deleted(opened: Opened) -> None:
    server, client = opened
    channel = server.open_channel(server.open_guild())
    asked = server.post("a question", channel=channel)
    hanging = server.open_thread(channel, "on it", message=asked)
    loose = server.open_thread(channel, "loose", author=BOB)
    server.post("in there", channel=hanging)
    server.archive(loose)
    server.post("opens it", channel=loose)
    await client.hears("message", 5)
    question, starter, created, inside, opens = client.of("message")
    server.close_channel(loose)
    gone: discord.RawThreadDeleteEvent = await client.hears("raw_thread_delete")

    assert hanging == asked
    assert (starter.type, starter.reference.resolved.content) == (
        discord.MessageType.thread_starter_message,
        question.content,
    )
    assert (created.channel.id, created.type) == (channel, discord.MessageType.thread_created)
    assert isinstance(inside.channel, discord.Thread)
    assert (inside.channel.id, inside.channel.parent_id) == (hanging, channel)
    assert [update.data["thread_metadata"]["archived"] for update in client.of("raw_thread_update")] == [True, False]
    assert (opens.channel.id, gone.thread_id) == (loose, loose)


async def test_the_history_is_read_from_any_place_in_the_order_of_time(opened: Opened) -> None:
    server, client = opened
    hour_ago = time.time() - 3600
    for number in range(7):
        server.post(str(number), at=hour_ago + number)
    channel = await client.fetch_channel(ADA_DM)
    assert isinstance(channel, discord.DMChannel)
    ids = sorted(server.messages)
    after = [message.content async for message in channel.history(after=discord.Object(ids[2]), limit=3)]
    last = [message.content async for message in channel.history(limit=2)]
    before = [message.content async for message in channel.history(before=discord.Object(ids[2]))]
    around = [message.content async for message in channel.history(around=discord.Object(ids[3]), limit=3)]
    one = await channel.fetch_message(ids[4])

    assert abs(seconds_of(ids[0]) - hour_ago) < 0.01
    assert (after, last, before, around) == (["3", "4", "5"], ["6", "5"], ["1", "0"], ["4", "3", "2"])
    assert one.content == "4"


async def test_two_sends_with_one_nonce_are_one_message(opened: Opened) -> None:
    server, client = opened
    channel = await client.fetch_channel(server.open_dm(ADA))
    assert isinstance(channel, discord.DMChannel)
    first = await channel.send("once", nonce="n-1")
    second = await channel.send("once", nonce="n-1")
    server.methods.nonce_seconds = 0
    third = await channel.send("once", nonce="n-1")
    await client.hears("message", 2)

    assert first.id == second.id != third.id
    assert (first.nonce, client.texts) == ("n-1", ["once", "once"])


async def test_attachments_are_read_until_their_addresses_expire_and_anew_with_a_fresh_message(opened: Opened) -> None:
    server, client = opened
    server.post("look", attachments=[PICTURE, Attachment("a b.txt", b"", None, claimed_size=30 << 20)])
    message: discord.Message = await client.hears("message")
    picture, note = message.attachments
    first = await picture.read()
    server.files.expire()
    with pytest.raises(discord.NotFound):
        await picture.read()
    fresh = await message.channel.fetch_message(message.id)

    assert first == await fresh.attachments[0].read() == PICTURE.content
    assert (picture.filename, picture.content_type, picture.width) == ("cat.png", "image/png", 4)
    assert (note.size, note.content_type, await fresh.attachments[1].read()) == (30 << 20, None, b"")


async def test_what_the_bot_may_not_do_is_refused_as_discord_does(opened: Opened) -> None:
    server, client = opened
    guild = server.open_guild()
    mute, hidden = server.open_channel(guild), server.open_channel(guild)
    server.restrict(mute, "read")
    server.restrict(hidden, "none")
    thread = server.open_thread(mute)
    server.archive(thread, lock=True)
    server.restrict(mute, "full")
    locked, mute_channel = client.get_partial_messageable(thread), client.get_partial_messageable(mute)
    asked = server.post("hello")
    server.block(ADA)
    direct = client.get_partial_messageable(ADA_DM)
    codes = []
    for attempt in (
        lambda: direct.send("a"),
        lambda: direct.get_partial_message(asked).edit(content="a"),
        lambda: direct.get_partial_message(asked).delete(),
        lambda: direct.fetch_message(1),
        lambda: client.get_partial_messageable(1).send("a"),
        lambda: client.get_partial_messageable(hidden).send("a"),
        lambda: locked.send("a"),
        lambda: mute_channel.send("a", reference=discord.MessageReference(message_id=1, channel_id=mute)),
        lambda: client.create_dm(discord.Object(1)),
    ):
        with pytest.raises(discord.HTTPException) as refused:
            await attempt()
        codes.append(refused.value.code)
    server.restrict(mute, "read")
    with pytest.raises(discord.Forbidden, match="50013"):
        await mute_channel.send("a")
    server.unblock(ADA)

    assert codes == [50007, 50005, 50003, 10008, 10003, 50001, 50083, 50035, 50033]
    assert (await direct.send("a")).content == "a"
