"""These tests check what the Discord channel retries and reports during faults, and that it never shows the token."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import AsyncIterator

import pytest
import structlog
from pydantic import SecretStr

from channels.discord import DiscordChannel
from channels.discord.library import point_at
from channels.errors import ChannelError, ChannelUnavailable
from channels.markup.rich import plain
from channels.settings import DiscordSettings
from channels.tools import Tools
from tests.platforms.discord_behaviours import (
    drop_before_effect,
    elsewhere,
    failing,
    html,
    malformed,
    refusing,
    too_many_requests,
    unauthorized,
)
from tests.platforms.discord_rig import HERE, QUICK, Rig, build_channel, open_rig
from tests.platforms.discord_server import ADA, CONNECT, ME, SEND, TOKEN, Behaviour, DiscordServer

SECRET = TOKEN.rpartition(".")[2]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


def build(**settings: str) -> DiscordChannel:
    """Build a channel of these settings."""
    token = SecretStr(settings.pop("token", TOKEN))
    return DiscordChannel(DiscordSettings(token=token, **settings), Tools(str, float, {}))  # type: ignore[arg-type]


async def test_a_network_that_is_not_there_at_the_start_is_waited_for(rig: Rig) -> None:
    rig.server.enqueue(ME, failing(), too_many_requests(0.05), malformed(), html(503))
    async with rig.running():
        rig.server.post("one")
        await rig.takes(1)

    assert rig.called(ME) == 5


async def test_before_the_first_contact_the_fault_is_named(rig: Rig) -> None:
    rig.server.enqueue(ME, *[failing()] * 3)
    with structlog.testing.capture_logs() as events:
        async with rig.running():
            pass

    assert [event["fault"] for event in events if event["event"] == "discord_unavailable"] == [
        "Discord cannot be reached: Discord answers 502"
    ] * 3


async def test_a_token_that_discord_does_not_know_is_a_fault_of_the_configuration() -> None:
    async with DiscordServer() as server:
        channel = build_channel(server, token="another.secret.token")
        with pytest.raises(ChannelUnavailable) as refused:
            await channel.run(Rig(server, channel).accept, Rig(server, channel).places)
        await channel.close()

    assert str(refused.value).startswith("channels_config.discord.token: ")
    assert "Reset Token" in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_a_server_that_is_no_discord_is_a_fault_of_the_configuration(rig: Rig) -> None:
    rig.server.enqueue(ME, refusing(404, 0, "404: Not Found"))
    with pytest.raises(ChannelUnavailable, match=r"channels_config\.discord\.api_base_url"):
        await rig.channel.run(rig.accept, rig.places)


async def test_a_web_page_in_its_place_is_no_discord_either(rig: Rig) -> None:
    rig.server.enqueue(ME, html(404))
    with pytest.raises(ChannelUnavailable, match=r"channels_config\.discord\.api_base_url.*404"):
        await rig.channel.run(rig.accept, rig.places)


@pytest.mark.parametrize("answer", [html(401), html(403), elsewhere(403), html(404)])
async def test_discord_itself_is_waited_for_where_something_refuses_in_its_place(answer: Behaviour) -> None:
    async with DiscordServer() as server:
        channel = DiscordChannel(DiscordSettings(token=SecretStr(TOKEN)), Tools(str, time.monotonic, {}), QUICK)
        point_at(server.base_url, server.gateway_url)
        rig = Rig(server, channel)
        server.enqueue(ME, answer)
        with structlog.testing.capture_logs() as events:
            async with rig.running():
                server.post("one")
                await rig.takes(1)
        await channel.close()
    [fault] = [event["fault"] for event in events if event["event"] == "discord_unavailable"]

    assert fault.startswith("Discord cannot be reached: something that is not Discord has refused it")
    assert rig.texts == ["one"]


@pytest.mark.parametrize("token", ["Bot hush", "hu sh", "hush\n", "hüsh"])
def test_what_cannot_be_a_token_is_a_fault_of_the_configuration(token: str) -> None:
    with pytest.raises(ChannelUnavailable) as refused:
        build(token=token)

    assert str(refused.value).startswith("channels_config.discord.token: ")
    assert token not in str(refused.value)


@pytest.mark.parametrize(("given", "missing"), [("api_base_url", "gateway_url"), ("gateway_url", "api_base_url")])
def test_another_server_has_two_addresses(given: str, missing: str) -> None:
    address = "http://127.0.0.1:9/api" if given == "api_base_url" else "ws://127.0.0.1:9/"
    with pytest.raises(ChannelUnavailable, match=rf"channels_config\.discord\.{missing}"):
        build(**{given: address})


async def test_a_token_that_is_refused_later_is_named_and_tried_again(rig: Rig) -> None:
    async with rig.running():
        rig.server.is_revoked = True
        rig.server.gateway.invalidate(can_resume=False)
        await rig.notices(lambda: "4004" in rig.channel.health.fault)
        fault = rig.channel.health.fault
        rig.server.is_revoked = False
        await rig.sessions(2)
        rig.server.post("after")
        await rig.takes(1)

    assert fault.startswith("channels_config.discord.token: Discord does not know this token (4004)")


async def test_another_gateway_that_discord_names_is_not_followed_where_one_is_configured(rig: Rig) -> None:
    rig.server.gateway.url = "ws://127.0.0.1:9"
    async with rig.running():
        rig.server.gateway.reconnect()
        await rig.until(lambda: rig.server.gateway.resumed)

    assert rig.called(CONNECT) == 2


async def test_the_token_is_in_no_log_no_error_and_no_health(
    rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"no {TOKEN} here"
    said: list[str] = []
    rig.server.open_dm(ADA)
    faults = (refusing(400, 50035, echo), refusing(403, 50007, echo), failing(), html(), malformed())
    rig.server.enqueue(SEND, *faults, drop_before_effect(), unauthorized(), too_many_requests(0.01))
    rig.server.enqueue(CONNECT, failing(), html(), None)
    with structlog.testing.capture_logs() as events:
        async with rig.running():
            rig.server.post("hush", author=ADA)
            await rig.takes(1)
            rig.server.gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": {"content": echo}})
            while rig.server.has_script(SEND):
                with pytest.raises(ChannelError) as refused:
                    await rig.channel.send(HERE, plain("a"), "n")
                said.append("".join(traceback.format_exception(refused.value)) + repr(refused.value))
            await rig.sessions(2)
    everything = "\n".join([*said, repr(events), repr(rig.channel.health), caplog.text, *capfd.readouterr()])

    assert len(said) == 8
    assert "<secret>" in everything
    assert SECRET not in everything
    assert "hush" not in everything
