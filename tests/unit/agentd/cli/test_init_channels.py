"""These tests check the wizard's channels: each token is tried at its platform, and asked again if it is wrong."""

from __future__ import annotations

from functools import partial

import pytest
from pydantic import SecretStr

from agentd.cli.init_asking import AskingEnded
from agentd.cli.init_channels import NOT_ASKED, Enrolled, ask_channels
from agentd.errors import ConfigError
from channels.settings import ChannelsSettings, DiscordSettings, SlackSettings, TelegramSettings
from tests.platforms import discord_server, telegram_server
from tests.platforms.discord_server import MESSAGE_CONTENT, DiscordServer
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, SlackServer
from tests.platforms.telegram_server import TelegramServer
from tests.unit.agentd.cli.answering import answered

TELEGRAM, SLACK, DISCORD, CONSOLE = "1", "2", "3", "4"
EVERYBODY, BY_CODE = "*", ""


async def enrol(given: ChannelsSettings, *answers: str) -> list[Enrolled]:
    return await answered(partial(_ask, given), *answers)


def _ask(given: ChannelsSettings, talk: object) -> list[Enrolled]:
    return ask_channels(talk, given)  # type: ignore[arg-type]


def at_telegram(server: TelegramServer) -> ChannelsSettings:
    return ChannelsSettings(telegram=TelegramSettings(api_base_url=server.base_url))


def at_slack(server: SlackServer) -> ChannelsSettings:
    return ChannelsSettings(slack=SlackSettings(api_base_url=server.base_url))


def at_discord(server: DiscordServer) -> ChannelsSettings:
    return ChannelsSettings(discord=DiscordSettings(api_base_url=server.base_url, gateway_url=server.gateway_url))


async def test_a_token_is_shown_to_telegram_which_says_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    async with TelegramServer() as server:
        [channel] = await enrol(at_telegram(server), TELEGRAM, telegram_server.TOKEN, "7, @bob")

    assert channel.introduction.who == "the bot @agentd_bot"
    assert channel.introduction.way == "Write to it: https://t.me/agentd_bot"
    assert channel.values == {
        "token": telegram_server.TOKEN,
        "api_base_url": server.base_url,
        "allowed_users": ["7", "@bob"],
    }
    assert [name for name, _ in server.calls] == ["getMe"]
    assert "That is the bot @agentd_bot." in capsys.readouterr().out


async def test_what_cannot_be_used_is_asked_for_again_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    async with TelegramServer() as server:
        answers = ("9", "x", TELEGRAM, "no token", "100:another", telegram_server.TOKEN, "bob", BY_CODE)
        [channel] = await enrol(at_telegram(server), *answers)
    said = capsys.readouterr().out

    assert channel.pairs
    assert said.count("write a number from 1 to 4, or several with commas") == 2
    assert "a bot's token is a number, a colon and a secret" in said
    assert "does not know this token (Unauthorized)" in said
    assert "each must be an id (a number), a name with its @, or *" in said
    assert telegram_server.TOKEN not in said
    assert "another" not in said


async def test_a_platform_that_cannot_be_reached_can_be_kept_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    async with TelegramServer() as server:
        pass
    answers = (TELEGRAM, telegram_server.TOKEN, "n", telegram_server.TOKEN, "maybe", "y", EVERYBODY)
    [channel] = await enrol(at_telegram(server), *answers)
    said = capsys.readouterr().out

    assert channel.introduction.who == NOT_ASKED
    assert channel.values["token"] == telegram_server.TOKEN
    assert "It cannot be asked: " in said
    assert "write y or n" in said


async def test_each_token_of_slack_is_shown_to_slack_as_it_is_entered(capsys: pytest.CaptureFixture[str]) -> None:
    async with SlackServer() as server:
        answers = (SLACK, APP_TOKEN, "xoxb-other", BOT_TOKEN, BOT_TOKEN, APP_TOKEN, "U0123ABCD")
        [channel] = await enrol(at_slack(server), *answers)
        called = [name for name, _ in server.calls]
    said = capsys.readouterr().out

    assert channel.values["bot_token"] == BOT_TOKEN
    assert channel.values["app_token"] == APP_TOKEN
    assert channel.introduction.who.startswith("the app @")
    assert "this is an app-level token, and xoxb-... is wanted" in said
    assert "Slack does not know this token: copy it again from OAuth & Permissions" in said
    assert "this is the bot's token, and xapp-... is wanted" in said
    assert called == ["auth.test", "auth.test", "apps.connections.open", "auth.test"]
    assert server.refusals == []


async def test_an_app_that_lacks_a_scope_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    async with SlackServer() as server:
        server.tokens.scopes -= {"im:history"}
        await enrol(at_slack(server), SLACK, BOT_TOKEN, APP_TOKEN, BY_CODE)

    assert "But the app lacks im:history: add that at OAuth & Permissions" in capsys.readouterr().out


async def test_discord_says_whose_a_token_is_and_where_to_invite_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with DiscordServer() as server:
        answers = (DISCORD, "not-the-token", discord_server.TOKEN, BY_CODE)
        [channel] = await enrol(at_discord(server), *answers)

    assert channel.values["gateway_url"] == server.gateway_url
    assert channel.introduction.lacks == ""
    assert "permissions=274877975552" in channel.introduction.way
    assert "does not know this token: copy it again" in capsys.readouterr().out
    assert server.refusals == ["a token that is not the bot's"]


async def test_an_intent_that_is_off_is_told_before_the_daemon_would_end_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with DiscordServer() as server:
        server.gateway.allowed.discard(MESSAGE_CONTENT)
        await enrol(at_discord(server), DISCORD, discord_server.TOKEN, BY_CODE)

    assert "But Message Content Intent is off: switch it on at" in capsys.readouterr().out


async def test_several_channels_are_asked_for_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    async with TelegramServer() as telegram, SlackServer() as slack:
        given = ChannelsSettings(
            telegram=TelegramSettings(api_base_url=telegram.base_url),
            slack=SlackSettings(api_base_url=slack.base_url),
        )
        answers = (f"{SLACK},{TELEGRAM}", telegram_server.TOKEN, BY_CODE, BOT_TOKEN, APP_TOKEN, BY_CODE)
        enrolled = await enrol(given, *answers)

    assert [channel.name for channel in enrolled] == ["telegram", "slack"]
    assert "docs/slack-manifest.yaml" in capsys.readouterr().out


async def test_a_channel_whose_token_is_left_empty_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    enrolled = await enrol(ChannelsSettings(), f"{TELEGRAM},{CONSOLE}", "")

    assert enrolled == []
    assert "Telegram is left out." in capsys.readouterr().out


async def test_a_token_that_the_environment_gives_is_used_and_not_written_down() -> None:
    async with TelegramServer() as server:
        settings = TelegramSettings(token=SecretStr(telegram_server.TOKEN), api_base_url=server.base_url)
        [channel] = await enrol(ChannelsSettings(telegram=settings), TELEGRAM, BY_CODE)

    assert channel.values == {"api_base_url": server.base_url}
    assert channel.introduction.who == "the bot @agentd_bot"


async def test_a_token_of_the_environment_that_is_refused_ends_the_questions() -> None:
    async with TelegramServer() as server:
        settings = TelegramSettings(token=SecretStr("100:other"), api_base_url=server.base_url)
        with pytest.raises(ConfigError, match=r"channels_config\.telegram\.token: the server at") as fault:
            await enrol(ChannelsSettings(telegram=settings), TELEGRAM)

    assert "100:other" not in str(fault.value)


async def test_answers_that_end_too_early_are_told_apart_from_empty_ones() -> None:
    with pytest.raises(AskingEnded):
        await enrol(ChannelsSettings(), TELEGRAM)
