"""These tests check that the loopback Discord fails in every way that the real one does, as its library sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import discord
import pytest

from tests.platforms.discord_behaviours import (
    banned,
    delayed,
    drop_after_effect,
    drop_before_effect,
    failing,
    hang,
    hold_after_effect,
    html,
    malformed,
    refusing,
    slow,
    unauthorized,
)
from tests.platforms.discord_clients import Ears, open_bot
from tests.platforms.discord_server import ADA, DOWNLOAD, SEND, Attachment, Behaviour, DiscordServer, texts

Opened = tuple[DiscordServer, Ears]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_bot() as both:
        both[0].post("one")
        await both[1].hears("message")
        yield both


@pytest.mark.parametrize(
    ("behaviour", "fault", "shown"),
    [
        (drop_before_effect(), aiohttp.ServerDisconnectedError, []),
        (drop_after_effect(), aiohttp.ServerDisconnectedError, ["a"]),
        (failing(503), discord.DiscordServerError, []),
        (html(503), discord.DiscordServerError, []),
        (malformed(), ValueError, []),
        (banned(), discord.HTTPException, []),
        (unauthorized(), discord.HTTPException, []),
        (refusing(403, 50013, "Missing Permissions"), discord.Forbidden, []),
        (hang(), TimeoutError, []),
        (hold_after_effect(), TimeoutError, ["a"]),
    ],
    ids=[
        *("dropped before", "dropped after", "failing", "a page", "malformed"),
        *("banned", "unauthorized", "refused", "hanging", "held"),
    ],
)
async def test_a_call_fails_once_as_it_is_told_and_the_next_is_as_usual(
    behaviour: Behaviour, fault: type[Exception], shown: list[str], opened: Opened
) -> None:
    server, client = opened
    server.enqueue(SEND, behaviour)
    channel = client.of("message")[0].channel
    with pytest.raises(fault):
        async with asyncio.timeout(0.2):
            await channel.send("a")
    await channel.send("b")

    assert texts(server.screen()) == [*shown, "b"]


async def test_a_slow_answer_waits_for_the_test_and_a_delayed_one_for_the_time(opened: Opened) -> None:
    server, client = opened
    gate = asyncio.Event()
    server.enqueue(SEND, slow(gate), delayed(0.001))
    channel = client.of("message")[0].channel
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(channel.send("a"), name="first")
        await client.until(lambda: server.called(SEND))
        before = texts(server.screen())
        gate.set()
    second = await channel.send("b")

    assert before == []
    assert (first.result().content, second.content) == ("a", "b")
    assert not server.has_script(SEND)


async def test_a_download_can_fail_too(opened: Opened) -> None:
    server, client = opened
    server.post(attachments=[Attachment()], author=ADA)
    attachment = (await client.hears("message", 2)).attachments[0]
    server.enqueue(DOWNLOAD, failing(), html(403), drop_before_effect(), drop_before_effect())
    for fault in (discord.HTTPException, discord.Forbidden, aiohttp.ServerDisconnectedError):
        with pytest.raises(fault):
            await attachment.read()

    assert await attachment.read() == b"a document"
