"""discord.py finds in the loopback Discord what it finds in the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import discord
import pytest

from tests.platforms.discord_clients import Ears, open_bot
from tests.platforms.discord_server import ADA, ADA_DM, DiscordServer, texts

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
    sent = await message.channel.send("hi", reference=message, nonce="n1")
    changed = await sent.edit(content="hi there")
    other = await message.channel.send("away")
    await other.delete()

    assert (message.id, message.author.id, message.channel.id, message.content) == (asked, ADA, ADA_DM, "hello")
    assert isinstance(message.channel, discord.DMChannel)
    assert abs((discord.utils.utcnow() - message.created_at).total_seconds()) < 10
    assert changed.content == "hi there"
    assert texts(server.screen()) == ["hi there"]
    assert (server.screen()[0].past, server.screen()[0].reference, server.screen()[0].pings) == (["hi"], asked, [])
    assert [action.channel for action in server.actions] == [ADA_DM]
