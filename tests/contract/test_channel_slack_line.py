"""These tests check how the connection to Slack is kept, replaced and lost, and what the operator is told."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from channels.errors import ChannelUnavailable
from channels.markup.rich import plain
from channels.slack.waits import Growing
from tests.platforms.slack_behaviours import failing, hang, html, refusing, too_many_requests
from tests.platforms.slack_rig import HERE, QUICK, Rig, build_channel, open_rig
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, GENERAL, SOCKET, SlackServer

OPEN = "apps.connections.open"


async def test_the_next_connection_is_open_before_the_one_that_slack_wants_to_end_is_left() -> None:
    async with open_rig(replace(QUICK, linger_seconds=20)) as rig, rig.running():
        await rig.opened()
        rig.server.lines.close_seconds = 0.3
        rig.server.disconnect("warning")
        await rig.opened(2)

        assert len(rig.server.lines.open) == 2

        for number in range(6):
            rig.server.post(f"{number}")
        await rig.acked(6)
        await rig.until(lambda: len(rig.server.lines.open) == 1)
        rig.server.post("on the new one")
        await rig.acked(7)

        assert sorted(rig.texts) == ["0", "1", "2", "3", "4", "5", "on the new one"]
        assert [delivery.retries for delivery in rig.server.deliveries.all] == [0] * 7
        assert (rig.looks, rig.called("conversations.history")) == (1, 0)
        assert rig.server.lines.opened == 2


async def test_what_came_on_the_old_connection_is_acked_on_it() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        gate = rig.gates[HERE] = asyncio.Event()
        rig.server.post("while it changes")
        await rig.until(lambda: rig.offered)
        rig.server.disconnect("refresh_requested")
        await rig.opened(2)
        gate.set()
        [delivery] = await rig.acked(1)

        assert delivery.retries == 0


async def test_a_connection_that_breaks_is_replaced_and_what_was_under_way_comes_again() -> None:
    async with open_rig() as rig, rig.running():
        rig.server.deliveries.ack_seconds = 0.2
        rig.server.deliveries.retry_seconds = (0, 0.2)
        await rig.opened()
        gate = rig.gates[HERE] = asyncio.Event()
        rig.server.post("while it breaks")
        await rig.until(lambda: rig.offered)
        rig.server.drop()
        await rig.opened(2)
        gate.set()
        await rig.acked(1)

        assert rig.texts == ["while it breaks"]
        assert rig.looks == 2


async def test_a_connection_that_is_silent_is_noticed_and_replaced() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.1)) as rig, rig.running():
        await rig.opened()
        rig.server.deafen()
        await rig.opened(2)
        rig.server.post("hello again")
        await rig.acked(1)

        assert rig.texts == ["hello again"]


async def test_a_silent_connection_is_noticed_within_ninety_seconds() -> None:
    assert 1.5 * QUICK.ping_seconds + QUICK.connect_seconds < 90


async def test_signs_of_life_are_noted_without_any_message() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.05)) as rig, rig.running():
        await rig.opened()
        before = rig.channel.health.contact
        await rig.until(lambda: rig.channel.health.contact != before)

        assert rig.channel.health.silent_seconds is not None
        assert rig.channel.health.fault == ""


async def test_a_network_that_is_lost_is_named_and_waited_for() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.refuse_connections = True
        await rig.until(lambda: rig.channel.health.fault.startswith("Slack cannot be reached: "))
        rig.server.refuse_connections = False
        await rig.opened(2)
        rig.server.post("back")
        await rig.acked(1)

        assert rig.texts == ["back"]
        assert rig.channel.health.fault == ""


@pytest.mark.parametrize("behaviour", [failing(), html(), refusing("internal_error"), too_many_requests(1)])
async def test_an_answer_that_cannot_be_used_at_the_start_is_waited_out(behaviour: Callable[..., Awaitable]) -> None:  # type: ignore[type-arg]
    async with open_rig() as rig:
        rig.server.enqueue("auth.test", behaviour)
        rig.server.enqueue(OPEN, failing())
        async with rig.running():
            await rig.opened()
            rig.server.post("hello")
            await rig.acked(1)

            assert rig.channel.health.fault == ""


async def test_a_connection_that_does_not_greet_is_given_up() -> None:
    async with open_rig(replace(QUICK, connect_seconds=2)) as rig:
        rig.server.enqueue(SOCKET, hang())
        async with rig.running():
            await rig.opened()
            rig.server.post("hello")
            await rig.acked(1)

            assert rig.called(OPEN) == 2


async def test_connections_that_end_at_once_do_not_make_it_spin() -> None:
    async with open_rig(replace(QUICK, steady_seconds=60, network=Growing(5, 5))) as rig, rig.running():
        await rig.opened()
        rig.server.drop()
        await rig.until(lambda: "a connection ended soon" in rig.channel.health.fault)

        assert rig.called(OPEN) == 1


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (("", APP_TOKEN), "channels_config.slack.bot_token: the token begins with xoxb-"),
        ((APP_TOKEN, APP_TOKEN), "bot_token: this is an app-level token, and xoxb-... is wanted"),
        ((BOT_TOKEN, BOT_TOKEN), "app_token: this is the bot's token, and xapp-... is wanted"),
        (("xoxp-1-2", APP_TOKEN), "bot_token: this is a person's token"),
        ((BOT_TOKEN, "xapp- \n1"), "app_token: the token begins with xapp-"),
    ],
)
async def test_what_cannot_be_the_token_is_refused_without_a_call(tokens: tuple[str, str], says: str) -> None:
    with pytest.raises(ChannelUnavailable) as refused:
        build_channel("http://127.0.0.1:9/api/", tokens=tokens)

    assert says in str(refused.value)
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "error", "says"),
    [
        ("auth.test", "invalid_auth", "bot_token: Slack does not know this token"),
        ("auth.test", "token_revoked", "bot_token: the token was revoked: install the app again"),
        ("auth.test", "account_inactive", "bot_token: the app was removed from the workspace"),
        ("auth.test", "not_allowed_token_type", 'bot_token: another kind is wanted: the "Bot User OAuth Token"'),
        (OPEN, "invalid_auth", "app_token: Slack does not know this token"),
        (OPEN, "missing_scope", "app_token: the token lacks the scope connections:write"),
        (OPEN, "not_allowed_token_type", 'app_token: another kind is wanted: an "App-Level Token"'),
        (OPEN, "link_disabled", "app_token: Socket Mode is switched off for the app"),
    ],
)
async def test_a_fault_of_the_configuration_ends_the_channel_with_what_to_change(
    method: str, error: str, says: str
) -> None:
    async with open_rig() as rig:
        rig.server.enqueue(method, refusing(error))

        with pytest.raises(ChannelUnavailable) as refused:
            await rig.channel.run(rig.accept, rig.places)

        assert says in str(refused.value)
        assert error in str(refused.value)


async def test_a_token_that_is_refused_later_is_named_and_tried_again() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.revoke(APP_TOKEN)
        rig.server.drop()
        await rig.until(lambda: "Slack refuses a token that it took before" in rig.channel.health.fault)
        rig.server.restore(APP_TOKEN)
        await rig.opened(2)
        rig.server.post("back")
        await rig.acked(1)

        assert rig.texts == ["back"]


async def test_socket_mode_that_is_switched_off_later_is_named_and_tried_again() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.enqueue(OPEN, refusing("link_disabled"))
        rig.server.disconnect("link_disabled", close_seconds=0)
        await rig.until(lambda: "Socket Mode is switched off" in rig.channel.health.fault)
        await rig.opened(2)
        rig.server.post("back")
        await rig.acked(1)

        assert rig.texts == ["back"]


async def test_a_bots_token_that_is_refused_while_sending_is_named() -> None:
    async with open_rig() as rig:
        rig.server.revoke()

        with pytest.raises(Exception, match="token_revoked"):
            await rig.channel.send(HERE, plain("hello"), "")

        assert "Slack refuses a token that it took before: token_revoked" in rig.channel.health.fault


async def test_a_bots_token_that_is_refused_stays_named_whatever_else_comes_until_it_is_taken_again() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.02)) as rig, rig.running():
        await rig.opened()
        rig.server.revoke()
        with pytest.raises(Exception, match="token_revoked"):
            await rig.channel.send(HERE, plain("hello"), "")
        refused_at = rig.channel.health.contact
        await rig.until(lambda: rig.channel.health.contact != refused_at)
        rig.server.drop()
        await rig.opened(2)

        assert "Slack refuses a token that it took before: token_revoked" in rig.channel.health.fault

        rig.server.restore()
        await rig.channel.send(HERE, plain("hello"), "")

        assert rig.channel.health.fault == ""


async def test_where_it_cannot_be_told_where_people_were_heard_that_stays_named_until_it_can() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.02)) as rig:
        rig.blind = 1_000
        async with rig.running():
            await rig.until(lambda: "the folder cannot be read" in rig.channel.health.fault)
            named_at = rig.channel.health.contact
            await rig.until(lambda: rig.channel.health.contact != named_at)

            assert "the folder cannot be read" in rig.channel.health.fault

            rig.blind = 0
            await rig.until(lambda: not rig.channel.health.fault)


async def test_frames_that_are_none_and_envelopes_of_other_kinds_do_no_harm() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        [line] = rig.server.lines.open
        for frame in ({"type": "unheard of"}, {}, {"type": "disconnect"}):
            line.send(frame)
        await rig.opened(2)
        rig.server.post("hello")
        await rig.acked(1)

        assert rig.texts == ["hello"]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ws_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.post("hello")
        await rig.acked(1)
        await rig.channel.send(HERE, plain("hi"), "")

        assert rig.texts == ["hello"]


async def test_the_tokens_are_in_no_log_no_error_and_no_health(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with open_rig() as rig:
            rig.server.enqueue(OPEN, failing(), html())
            rig.server.enqueue("auth.test", failing())
            async with rig.running():
                await rig.opened()
                rig.server.mention("a secret word")
                await rig.acked(2)
                rig.server.revoke()
                with pytest.raises(Exception, match="token_revoked") as refused:
                    await rig.channel.send(HERE, plain("another secret word"), "")
                rig.server.drop()
                await rig.opened(2)
    printed = capfd.readouterr()
    told = caplog.text + printed.out + printed.err + rig.channel.health.fault + repr(refused.value)

    for secret in (BOT_TOKEN, APP_TOKEN, "planted", "ticket-", "secret word"):
        assert secret not in told


async def test_a_stop_leaves_nothing_open() -> None:
    async with SlackServer() as server:
        channel = build_channel(server.base_url)
        rig = Rig(server, channel)
        async with rig.running():
            await rig.opened()
        await channel.close()
        await rig.until(lambda: not server.lines.open)

        assert server.screen(GENERAL) == []


def test_a_process_that_ends_leaves_no_word_about_what_was_open() -> None:
    async def live() -> None:
        async with SlackServer() as server:
            channel = build_channel(server.base_url)
            rig = Rig(server, channel)
            async with rig.running():
                await rig.opened()
                await channel.send(HERE, plain("hello"), "")

    asyncio.run(live())
    gc.collect()  # what was left open says so now, and a warning is an error
