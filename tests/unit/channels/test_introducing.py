"""These tests check that asking about a token ends in time, and that faults are reported without the token."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from time import monotonic

import msgspec
import pytest
from aiohttp import web
from pydantic import SecretStr

from channels.discord.connection import Connection
from channels.discord.waits import WAITS
from channels.errors import ChannelError, ChannelUnavailable, RateLimited, Unreachable
from channels.registry import introduce
from channels.settings import ChannelsSettings, DiscordSettings, SlackSettings, TelegramSettings
from tests.platforms import discord_behaviours, discord_server, slack_behaviours, telegram_behaviours, telegram_server
from tests.platforms.discord_server import ME, Call, DiscordServer
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, SlackServer
from tests.platforms.telegram_server import BOT, TelegramServer

SOON = 0.3


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        yield server


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


def on_telegram(server: TelegramServer, groups: str = "mention") -> ChannelsSettings:
    section = {"token": telegram_server.TOKEN, "api_base_url": server.base_url, "groups": groups}
    return ChannelsSettings(telegram=TelegramSettings.model_validate(section))


def on_slack(server: SlackServer) -> ChannelsSettings:
    bot, app = SecretStr(BOT_TOKEN), SecretStr(APP_TOKEN)
    return ChannelsSettings(slack=SlackSettings(bot_token=bot, app_token=app, api_base_url=server.base_url))


def on_discord(server: DiscordServer, guilds: str = "mention") -> ChannelsSettings:
    section = {"api_base_url": server.base_url, "gateway_url": server.gateway_url, "guilds": guilds}
    return ChannelsSettings(discord=DiscordSettings.model_validate({"token": discord_server.TOKEN, **section}))


async def fault_of(name: str, settings: ChannelsSettings, seconds: float = 10) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await introduce(name, settings, seconds)
    said = str(caught.value)
    assert not any(secret in said for secret in (telegram_server.TOKEN, discord_server.TOKEN, BOT_TOKEN, APP_TOKEN))
    return caught.value


async def test_telegram_that_says_nothing_is_given_up_in_time(telegram: TelegramServer) -> None:
    telegram.enqueue("getMe", telegram_behaviours.hang())

    assert isinstance(await fault_of("telegram", on_telegram(telegram), SOON), Unreachable)


async def test_slack_that_says_nothing_is_given_up_in_time(slack: SlackServer) -> None:
    slack.enqueue("auth.test", slack_behaviours.hang())

    assert isinstance(await fault_of("slack", on_slack(slack), SOON), Unreachable)


async def test_discord_that_says_nothing_is_given_up_in_time(discord: DiscordServer) -> None:
    discord.enqueue(ME, discord_behaviours.hang())

    assert isinstance(await fault_of("discord", on_discord(discord), SOON), Unreachable)


@pytest.mark.parametrize("behaviour", ["malformed", "html", "failing"])
async def test_an_answer_that_cannot_be_read_is_no_fault_of_the_token(
    behaviour: str, telegram: TelegramServer, slack: SlackServer, discord: DiscordServer
) -> None:
    telegram.enqueue("getMe", getattr(telegram_behaviours, behaviour)())
    slack.enqueue("auth.test", getattr(slack_behaviours, behaviour)())
    discord.enqueue(ME, getattr(discord_behaviours, behaviour)())
    faults = [
        await fault_of("telegram", on_telegram(telegram)),
        await fault_of("slack", on_slack(slack)),
        await fault_of("discord", on_discord(discord)),
    ]

    assert not any(isinstance(fault, ChannelUnavailable) for fault in faults)


async def test_slack_that_wants_to_be_left_alone_says_so(slack: SlackServer) -> None:
    slack.enqueue("apps.connections.open", slack_behaviours.too_many_requests(30))

    assert isinstance(await fault_of("slack", on_slack(slack)), RateLimited)


async def test_socket_mode_that_is_off_is_named(slack: SlackServer) -> None:
    slack.enqueue("apps.connections.open", slack_behaviours.refusing("link_disabled"))

    assert "Socket Mode is switched off for the app" in str(await fault_of("slack", on_slack(slack)))


async def test_privacy_mode_matters_where_all_of_a_group_shall_be_read(telegram: TelegramServer) -> None:
    answer = {"ok": True, "result": {**BOT, "can_read_all_group_messages": False}}
    telegram.enqueue("getMe", *[telegram_behaviours.raw(msgspec.json.encode(answer))] * 2)
    mention = await introduce("telegram", on_telegram(telegram), 10)
    all_of_it = await introduce("telegram", on_telegram(telegram, "all"), 10)

    assert mention.lacks == ""
    assert "turn it off with /setprivacy at @BotFather" in all_of_it.lacks


@pytest.mark.parametrize("steps_between", range(5))
async def test_a_login_that_is_cut_twice_leaves_no_session_open(discord: DiscordServer, steps_between: int) -> None:
    asked = asyncio.Event()

    async def hang(call: Call) -> web.StreamResponse:
        asked.set()
        return await discord_behaviours.hang()(call)

    discord.enqueue(ME, hang)
    connection = Connection(on_discord(discord).discord, monotonic, WAITS)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(connection.log_in())
        await asked.wait()
        asking.cancel()
        for _ in range(steps_between):
            await asyncio.sleep(0)
        asking.cancel()
    await asyncio.sleep(0.05)  # in which what is left of the closing is done

    assert asking.cancelled()
    del asking, connection
    gc.collect()  # a session that is open would warn, which is an error here


async def test_an_intent_matters_where_servers_are_read(discord: DiscordServer) -> None:
    discord.gateway.allowed.clear()
    read = await introduce("discord", on_discord(discord), 10)
    left = await introduce("discord", on_discord(discord, "off"), 10)

    assert "Message Content Intent is off" in read.lacks
    assert left.lacks == ""
    assert discord.gateway.identified == []
