"""These tests check what the Telegram channel retries and reports during faults, and that it never shows the token."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from channels.errors import ChannelError, ChannelUnavailable
from channels.markup.rich import plain
from channels.settings import TelegramSettings
from channels.telegram.connection import Connection
from channels.telegram.waits import WAITS
from tests.platforms.telegram_behaviours import (
    drop_before_effect,
    failing,
    hang,
    html,
    malformed,
    raw,
    refusing,
    too_many_requests,
    unauthorized,
)
from tests.platforms.telegram_rig import HERE, QUICK, Rig, build_channel, nowhere, open_rig
from tests.platforms.telegram_server import CONFIRM, TOKEN, Behaviour, Call, TelegramServer

SECRET = TOKEN.partition(":")[2]
CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


async def test_another_poller_is_named_and_outlasted(rig: Rig) -> None:
    rig.server.enqueue("getUpdates", refusing(409, CONFLICT), refusing(409, CONFLICT), hang())
    async with rig.running():
        await rig.polled(3)

    assert rig.channel.health.fault.startswith("another program polls with this bot's token (409): ")
    assert (WAITS.conflict.after(0), WAITS.conflict.after(9)) == (5, 30)


async def test_a_webhook_is_removed_once_without_dropping_what_waits(rig: Rig) -> None:
    rig.server.updates.webhook = "https://elsewhere.example/hook"
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)
    [removal] = [params for method, params in rig.server.calls if method == "deleteWebhook"]

    assert not removal.get("drop_pending_updates")


async def test_a_webhook_that_comes_back_is_left_alone_and_named(rig: Rig) -> None:
    words = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook"
    rig.server.enqueue("getUpdates", *[refusing(409, words)] * 3, hang())
    async with rig.running():
        await rig.polled(4)

    assert rig.called("deleteWebhook") == 1
    assert rig.channel.health.fault.startswith("a webhook takes this bot's updates (409): ")


@pytest.mark.parametrize(
    "fault", [drop_before_effect(), failing(), html(), malformed(), raw(b"[]"), raw(b'{"ok":true}'), failing(500)]
)
async def test_a_lost_network_is_named_and_waited_for(rig: Rig, fault: Behaviour) -> None:
    rig.server.enqueue("getUpdates", fault, fault, hang())
    async with rig.running():
        await rig.polled(3)
        named = rig.channel.health.fault

    assert named.startswith("Telegram cannot be reached: ")
    assert (WAITS.network.after(0), WAITS.network.after(9)) == (1, 60)


async def test_what_was_written_meanwhile_is_taken_afterwards_and_nothing_is_wrong_any_more(rig: Rig) -> None:
    rig.server.enqueue("getUpdates", failing(), drop_before_effect())
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)
        await rig.confirmed()
        await rig.until(lambda: rig.server.calls[-1][1].get("timeout") == 30)

    assert rig.channel.health.fault == ""
    assert rig.channel.health.silent_seconds is not None


async def test_telegram_is_left_alone_as_long_as_it_asks_for(rig: Rig) -> None:
    rig.server.enqueue("getUpdates", too_many_requests(1), hang())
    async with rig.running():
        await rig.polled(1)
        began = time.monotonic()
        await rig.polled(2)

    assert time.monotonic() - began >= 0.95
    assert rig.channel.health.fault.startswith("Telegram wants to be left alone for a time: ")


async def test_a_poll_that_does_not_come_back_is_ended_counted_and_named() -> None:
    async with open_rig(replace(QUICK, poll_seconds=0, grace_seconds=0.1)) as rig:
        rig.server.enqueue("getUpdates", hang(), hang(), hang())
        async with rig.running():
            await rig.polled(3)
            named, stalled = rig.channel.health.fault, rig.channel.health.counts["stalled"]
            rig.server.post("one")
            await rig.takes(1)
            await rig.confirmed()

        assert named == "Telegram is silent: a poll was not answered within 0.1 s"
        assert stalled == 2
        assert WAITS.poll_seconds + WAITS.grace_seconds < 90


async def test_a_poll_that_stalls_costs_its_connection() -> None:
    async with open_rig(replace(QUICK, poll_seconds=0, grace_seconds=0.1)) as rig:
        gone = asyncio.Event()

        async def hang_until_gone(call: Call) -> web.StreamResponse:
            try:
                await call.server.closing.wait()
            finally:
                gone.set()
                call.server.changed.set()
            return web.Response()

        rig.server.enqueue("getUpdates", hang_until_gone)
        async with rig.running():
            await rig.until(gone.is_set)
            await rig.polled(2)

        assert not rig.server.closing.is_set()


@pytest.mark.parametrize("token", ["100:another-secret", "9:x"])
async def test_a_token_that_telegram_does_not_know_is_a_fault_of_the_configuration(token: str) -> None:
    async with TelegramServer() as server:
        channel = build_channel(server.base_url, token=token)
        with pytest.raises(ChannelUnavailable) as refused:
            await channel.run(Rig(server, channel).accept, nowhere)
        await channel.close()

    assert "channels_config.telegram.token" in str(refused.value)
    assert "@BotFather" in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_a_server_that_is_no_telegram_is_a_fault_of_the_configuration(rig: Rig) -> None:
    rig.server.enqueue("getMe", raw(b"<html>", 404, "text/html"))
    with pytest.raises(ChannelUnavailable, match=r"channels_config\.telegram\.api_base_url"):
        await rig.channel.run(rig.accept, nowhere)


@pytest.mark.parametrize("token", ["hush", "hush:1", "1:", ":hush", "1:hu sh", "1:hush/../x", "１:hush"])
def test_what_cannot_be_a_token_is_a_fault_of_the_configuration(token: str) -> None:
    with pytest.raises(ChannelUnavailable) as refused:
        build_channel("http://127.0.0.1:9", token=token)

    assert str(refused.value).startswith("channels_config.telegram.token: ")
    assert token not in str(refused.value)


async def test_a_token_that_is_refused_later_is_named_and_tried_again(rig: Rig) -> None:
    rig.server.enqueue(CONFIRM, unauthorized(), unauthorized(), hang())
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)
        await rig.polled(4)

    assert rig.channel.health.fault == "Telegram refuses the bot's token, which it took before: Unauthorized"
    assert WAITS.token.after(0) == WAITS.token.after(9) == 60


async def test_a_network_that_is_not_there_at_the_start_is_waited_for(rig: Rig) -> None:
    rig.server.enqueue("getMe", drop_before_effect(), failing(), too_many_requests(1), malformed())
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)

    assert rig.called("getMe") == 5


async def test_before_the_first_contact_the_fault_is_named(rig: Rig) -> None:
    rig.server.enqueue("getMe", failing(), hang())
    async with rig.running():
        await rig.until(lambda: rig.called("getMe") == 2)

    assert rig.channel.health.fault.startswith("Telegram cannot be reached: ")
    assert rig.channel.health.silent_seconds is None


async def test_the_token_is_in_no_log_no_error_and_no_health(
    rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"Bad Request: no {TOKEN} in /bot{TOKEN}/getUpdates"
    faults = (refusing(400, echo), refusing(409, echo), refusing(500, echo), html(), malformed(), drop_before_effect())
    said: list[str] = []
    rig.server.enqueue("getUpdates", *faults, unauthorized())
    rig.server.enqueue("sendMessage", *faults, unauthorized(), refusing(403, echo))
    rig.server.post("one")
    with structlog.testing.capture_logs() as events:
        async with rig.running():
            await rig.until(lambda: not rig.server.has_script("getUpdates"))
            await rig.takes(1)
            while rig.server.has_script("sendMessage"):
                said.append(await refusal_of(rig))
        gone = build_channel("http://127.0.0.1:9")
        with pytest.raises(ChannelError) as refused:
            await gone.send(HERE, plain("a"), "n")
        await gone.close()
    said += [repr(refused.value), "".join(traceback.format_exception(refused.value)), repr(rig.channel.health)]

    everything = "\n".join([*said, repr(events), caplog.text, *capfd.readouterr()])
    assert len(said) > 10
    assert "<secret>" in everything
    assert SECRET not in everything


def test_the_token_is_taken_out_of_a_text_whatever_its_case() -> None:
    connection = Connection(TelegramSettings(token=SecretStr("1:AbCd-eF")), QUICK)

    assert connection.clean("No /bot1:abcd-ef/x, no ABCD-EF") == "No /bot1:<secret>/x, no <secret>"


async def refusal_of(rig: Rig) -> str:
    """Return all that can be printed of a send that fails."""
    with pytest.raises(ChannelError) as refused:
        await rig.channel.send(HERE, plain("a"), "n")
    return "".join(traceback.format_exception(refused.value)) + repr(refused.value)
