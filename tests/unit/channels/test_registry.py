"""These tests check which channels there are, and that a library is imported only with its channel."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from pydantic import SecretStr

from channels.errors import ChannelUnavailable
from channels.registry import build_channels
from channels.settings import ChannelsSettings, DiscordSettings, SlackSettings, TelegramSettings
from channels.tools import Tools

TOOLS = Tools(lambda: "id", time.monotonic, {})


def test_a_token_builds_the_channel_of_its_bot() -> None:
    settings = ChannelsSettings(telegram=TelegramSettings(token=SecretStr("1:a"), api_base_url="http://127.0.0.1:9"))

    assert settings.enabled == ("telegram",)
    assert build_channels(settings.enabled, settings, TOOLS)["telegram"].name == "telegram"


def test_each_token_builds_its_channel() -> None:
    telegram = TelegramSettings(token=SecretStr("1:a"), api_base_url="http://127.0.0.1:9")
    settings = ChannelsSettings(telegram=telegram, discord=DiscordSettings(token=SecretStr("a.b.c")))

    assert settings.enabled == ("telegram", "discord")
    assert list(build_channels(settings.enabled, settings, TOOLS)) == ["telegram", "discord"]


async def test_two_tokens_build_the_channel_of_an_app() -> None:
    slack = SlackSettings(
        bot_token=SecretStr("xoxb-1"), app_token=SecretStr("xapp-1"), api_base_url="http://127.0.0.1:9/api/"
    )
    settings = ChannelsSettings(slack=slack)

    assert settings.enabled == ("slack",)
    assert build_channels(settings.enabled, settings, TOOLS)["slack"].name == "slack"


def test_a_channel_that_is_not_built_yet_says_what_to_do() -> None:
    with pytest.raises(ChannelUnavailable, match="remove its token"):
        build_channels(["signal"], ChannelsSettings(), TOOLS)


def test_no_platforms_library_is_imported_before_its_channel_is_built() -> None:
    libraries = {"aiohttp", "discord", "httpx", "slack_sdk", "telegram"}
    code = f"import sys, channels.registry; sys.exit(bool({libraries} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_library_that_warns_of_itself_does_not_end_a_daemon_that_takes_warnings_for_errors() -> None:
    code = "import channels.discord, channels.discord.channel"

    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
