"""These tests check that the loopback gateway begins, breaks off and resumes sessions, and discord.py follows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
import pytest

from tests.platforms.discord_behaviours import drop_before_effect, failing, hang
from tests.platforms.discord_clients import INTENTS, Ears, RawClient, open_bot, open_client, open_raw
from tests.platforms.discord_server import BOT, CONNECT, MESSAGE_CONTENT, TOKEN, DiscordServer

Opened = tuple[DiscordServer, Ears]

PROPERTIES = {"os": "linux", "browser": "test", "device": "test"}
IDENTIFY: dict[str, Any] = {"op": 2, "d": {"token": TOKEN, "properties": PROPERTIES, "intents": INTENTS.value}}


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_bot() as both:
        yield both


@pytest.fixture
async def bot() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        yield client


async def read(socket: aiohttp.ClientWebSocketResponse, event: str) -> Any:
    """Return the content of the next event, which is of this kind."""
    payload = await socket.receive_json()
    assert payload["t"] == event
    return payload["d"]


async def test_what_is_written_while_a_session_is_broken_off_comes_with_its_resumption(opened: Opened) -> None:
    server, client = opened
    server.post("before")
    await client.hears("message")
    server.drop()
    await client.until(lambda: not server.gateway.is_connected)
    server.post("meanwhile")
    await client.hears("resumed")
    server.post("after")
    await client.hears("message", 3)

    assert client.texts == ["before", "meanwhile", "after"]
    assert (len(server.gateway.identified), server.gateway.resumed) == (1, 1)


async def test_what_is_written_while_no_session_lives_stands_in_the_history_alone(opened: Opened) -> None:
    server, client = opened
    server.gateway.invalidate(can_resume=False)
    server.post("meanwhile")
    await client.hears("connect", 2)
    server.post("after")
    await client.hears("message")

    assert client.texts == ["after"]
    assert [shown.text for shown in server.messages.values()] == ["meanwhile", "after"]


async def test_a_client_that_says_goodbye_or_stays_away_too_long_has_no_session_to_go_on_with(bot: RawClient) -> None:
    server = bot.server
    server.gateway.resume_seconds = 0
    for code in (1000, 4000):
        async with bot.connect() as socket:
            await socket.send_json(IDENTIFY)
            session = (await read(socket, "READY"))["session_id"]
            await socket.close(code=code)
        async with bot.connect() as socket:
            await socket.send_json({"op": 6, "d": {"token": TOKEN, "session_id": session, "seq": 1}})
            answer = await socket.receive_json()

        assert (answer["op"], answer["d"]) == (9, False)
    assert 4000 in server.gateway.closed


async def test_a_request_to_reconnect_and_a_session_that_may_go_on_are_followed_by_resumptions(opened: Opened) -> None:
    server, client = opened
    server.gateway.reconnect()
    await client.hears("resumed", 1)
    server.gateway.invalidate(can_resume=True)
    await client.hears("resumed", 2)
    server.gateway.close(4000)
    await client.hears("resumed", 3)

    assert len(server.gateway.identified) == 1


async def test_a_connection_that_nothing_comes_through_any_more_is_given_up_by_its_heartbeats() -> None:
    async with DiscordServer() as server:
        server.gateway.heartbeat_seconds = 0.05
        async with open_client(server, heartbeat_timeout=0.2) as client:
            await client.until(lambda: server.gateway.heartbeats > 2)
            server.gateway.mute()
            server.post("lost on the way")
            await client.hears("message")
            server.gateway.acknowledges = False
            await client.hears("resumed", 2)

        assert (client.texts, server.refusals) == (["lost on the way"], [])


async def test_who_is_silent_for_two_heartbeats_is_cut_off(bot: RawClient) -> None:
    bot.server.gateway.heartbeat_seconds = 0.02
    async with bot.connect() as socket:
        assert (await socket.receive()).data == 4009


@pytest.mark.parametrize(
    ("code", "fault"), [(4004, discord.ConnectionClosed), (4014, discord.PrivilegedIntentsRequired)]
)
async def test_some_codes_end_the_client(code: int, fault: type[Exception], opened: Opened) -> None:
    server, client = opened
    server.gateway.close(code)
    await client.until(lambda: client.ending and server.gateway.closed)

    assert isinstance(client.ending, fault)
    assert (server.gateway.closed, server.gateway.sessions) == ([code], {})


async def test_an_intent_that_is_not_switched_on_ends_the_client_and_hides_what_is_not_for_the_bot() -> None:
    async with DiscordServer() as server:
        server.gateway.allowed.discard(MESSAGE_CONTENT)
        async with open_client(server) as client:
            await client.until(lambda: client.ending)
        channel = server.open_channel(server.open_guild())
        modest = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
        async with open_client(server, modest) as other:
            await other.hears("ready")
            server.post("hidden", channel=channel)
            asked = server.post("for you", channel=channel, mention=True)
            server.post("secret", attachments=[])
            await other.hears("message", 3)
            found = [message async for message in other.get_partial_messageable(channel).history()]

        assert isinstance(client.ending, discord.PrivilegedIntentsRequired)
        assert other.application_flags.gateway_message_content_limited is False
        assert other.texts == ["", f"<@{BOT}> for you", "secret"]
        assert [(message.id == asked, bool(message.content)) for message in found] == [(True, True), (False, False)]
        assert server.refusals == []


async def test_events_come_only_to_who_asked_for_their_kind(bot: RawClient) -> None:
    server = bot.server
    async with bot.connect() as socket:
        await socket.send_json({**IDENTIFY, "d": {**IDENTIFY["d"], "intents": 1 << 12}})
        ready = await read(socket, "READY")
        channel = server.open_channel(server.open_guild())
        server.post("in a guild", channel=channel)
        server.post("direct")

        assert (await read(socket, "MESSAGE_CREATE"))["content"] == "direct"
    assert ready["guilds"] == []


async def test_a_payload_that_the_library_cannot_read_ends_it_and_one_that_is_no_json_too() -> None:
    for text in ('{"op": 0, "t": "MESSAGE_CREATE", "d": {"id": "1"}}', '{"op":'):
        async with DiscordServer() as server, open_client(server) as client:
            await client.hears("ready")
            server.gateway.push_text(text)
            await client.until(lambda: client.ending)

            assert isinstance(client.ending, LookupError | ValueError)


@pytest.mark.parametrize(
    ("payloads", "code"),
    [
        (["{"], 4002),
        ([json.dumps({"op": 2, "d": {"token": TOKEN}})], 4002),
        ([json.dumps({"op": 12, "d": None})], 4001),
        ([json.dumps({"op": 3, "d": {"since": 0, "activities": [], "status": "idle", "afk": False}})], 4003),
        ([json.dumps({**IDENTIFY, "d": {**IDENTIFY["d"], "intents": 1 << 40}})], 4013),
        ([json.dumps({**IDENTIFY, "d": {**IDENTIFY["d"], "token": "other"}})], 4004),
        ([json.dumps(IDENTIFY)] * 2, 4005),
    ],
    ids=["no JSON", "field missing", "opcode", "no session", "intents", "token", "twice"],
)
async def test_what_the_gateway_does_not_know_is_refused_with_a_code_and_noted(
    payloads: list[str], code: int, bot: RawClient
) -> None:
    async with bot.connect() as socket:
        for payload in payloads:
            await socket.send_str(payload)
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass

    assert message.data == code
    assert len(bot.server.refusals) == 1


async def test_who_sends_too_much_is_cut_off_and_who_begins_sessions_too_quickly_is_turned_away(bot: RawClient) -> None:
    bot.server.gateway.identify_seconds = 5
    async with bot.connect() as socket:
        await socket.send_json(IDENTIFY)
        await read(socket, "READY")
        for _ in range(120):
            await socket.send_json({"op": 1, "d": 1})
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    async with bot.connect() as socket:
        await socket.send_json(IDENTIFY)
        answer = await socket.receive_json()

    assert (message.data, bot.server.gateway.heartbeats) == (4008, 119)
    assert (answer["op"], answer["d"]) == (9, False)


async def test_a_sequence_from_the_future_is_no_session_and_another_connection_takes_one_over(bot: RawClient) -> None:
    async with bot.connect() as first:
        await first.send_json(IDENTIFY)
        ready = await read(first, "READY")
        resume = {"token": TOKEN, "session_id": ready["session_id"], "seq": 1}
        async with bot.connect() as second:
            await second.send_json({"op": 6, "d": resume})
            await read(second, "RESUMED")
            async with bot.connect() as third:
                await third.send_json({"op": 6, "d": {**resume, "seq": 9}})
                ending = await third.receive()

        assert (ending.data, (await first.receive()).data) == (4007, 4000)
    assert ready["resume_gateway_url"].startswith(bot.server.gateway_url)


async def test_while_it_is_unreachable_nobody_gets_through_and_after_that_everyone_does(bot: RawClient) -> None:
    server = bot.server
    async with bot.connect() as socket:
        await socket.send_json(IDENTIFY)
        await read(socket, "READY")
        async with server.unreachable():
            broken = await socket.receive()
            for attempt in (bot.call("GET", "/users/@me"), bot.connect().__aenter__()):
                with pytest.raises(aiohttp.ClientConnectorError):
                    await attempt
    status, _ = await bot.call("GET", "/users/@me")

    assert broken.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    assert status == 200


async def test_connecting_can_fail_like_any_call(bot: RawClient) -> None:
    twice = [drop_before_effect(), drop_before_effect()]  # aiohttp tries once more by itself
    bot.server.enqueue(CONNECT, *twice, failing(503), hang())
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await bot.connect().__aenter__()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await bot.connect().__aenter__()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await bot.connect().__aenter__()
    async with bot.connect():
        pass

    assert len(bot.server.called(CONNECT)) == 5
