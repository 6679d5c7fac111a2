"""These tests check what the Discord channel sends, and what becomes of a call that fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from channels.base import Address
from channels.discord.channel import NOTHING_VISIBLE, RATES, DiscordChannel
from channels.errors import ChannelError, NotSent, RateLimited, SendFailed, Unreachable
from channels.markup.rich import RichText, Span, plain
from tests.platforms.discord_behaviours import (
    banned,
    drop_after_effect,
    drop_before_effect,
    elsewhere,
    failing,
    hang,
    html,
    malformed,
    raw,
    refusing,
    too_many_requests,
    unauthorized,
)
from tests.platforms.discord_rig import HERE, QUICK, Rig, address, build_channel, open_rig
from tests.platforms.discord_server import ADA, DELETE, EDIT, ME, SEND, Behaviour, Call, DiscordServer, Limits, texts


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        opened.server.open_dm(ADA)
        yield opened


async def fault_of(rig: Rig, to: Address = HERE, text: str = "a") -> ChannelError:
    """Return what a send that fails is a case of."""
    with pytest.raises(ChannelError) as refused:
        await rig.channel.send(to, plain(text), "n")
    return refused.value


async def test_a_text_is_shown_changed_and_removed(rig: Rig) -> None:
    number = await rig.channel.send(HERE, plain("one"), "n")
    await rig.channel.edit(HERE, number, plain("two"))
    [shown] = rig.server.screen()
    past = list(shown.past)
    await rig.channel.delete(HERE, number)

    assert (str(shown.id), shown.text, past) == (number, "two", ["one"])
    assert rig.server.screen() == []


async def test_marks_are_written_as_discord_reads_them_and_what_is_plain_is_not_read_as_any(rig: Rig) -> None:
    rich = RichText("bold and 2*3*4", (Span(0, 4, "bold"),))
    await rig.channel.send(HERE, rich, "n")

    assert texts(rig.server.screen()) == ["**bold** and 2\\*3\\*4"]


async def test_nothing_pings_and_no_page_is_previewed(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    number = await rig.channel.send(address(channel), plain(f"@everyone <@{ADA}> https://example.com/"), "n")
    await rig.channel.edit(address(channel), number, plain(f"@here <@{ADA}>"))
    bodies = [called.body for called in rig.server.calls if called.name in (SEND, EDIT)]
    [shown] = rig.server.screen(channel)

    assert shown.pings == []
    assert [body["allowed_mentions"] for body in bodies] == [{"parse": []}] * 2
    assert bodies[0]["flags"] == 4
    assert "\\<@" in shown.text


async def test_the_same_nonce_shows_nothing_new_and_returns_the_first_ones_id(rig: Rig) -> None:
    first = await rig.channel.send(HERE, plain("one"), "abcdef0123456789-0-1")
    second = await rig.channel.send(HERE, plain("two"), "abcdef0123456789-0-1")
    other = await rig.channel.send(HERE, plain("three"), "abcdef0123456789-1-1")

    assert first == second != other
    assert texts(rig.server.screen()) == ["one", "three"]


async def test_a_long_nonce_is_shortened_and_still_one_of_a_kind(rig: Rig) -> None:
    first = await rig.channel.send(HERE, plain("one"), "x" * 40)
    second = await rig.channel.send(HERE, plain("one"), "x" * 40)
    other = await rig.channel.send(HERE, plain("two"), "x" * 41)
    await rig.channel.send(HERE, plain("three"), "")
    await rig.channel.send(HERE, plain("four"), "")

    assert first == second != other
    assert all(len(called.body.get("nonce", "")) <= 25 for called in rig.server.calls if called.name == SEND)
    assert len(rig.server.screen()) == 4


@pytest.mark.parametrize("text", ["", " \n ", "\u200b\u2060"])
async def test_a_text_without_anything_to_see_says_so(rig: Rig, text: str) -> None:
    await rig.channel.send(HERE, plain(text), "n")

    assert texts(rig.server.screen()) == [NOTHING_VISIBLE]


async def test_the_sign_of_typing_is_shown_where_the_reply_will_be(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    thread = rig.server.open_thread(channel)
    await rig.channel.show_typing(HERE)
    await rig.channel.show_typing(address(channel, thread))

    assert [action.channel for action in rig.server.actions] == [int(HERE.chat), thread]
    assert rig.channel.typing_seconds == 10


async def test_a_message_that_is_gone_is_removed_already_and_cannot_be_changed(rig: Rig) -> None:
    await rig.channel.delete(HERE, "5")
    with pytest.raises(SendFailed, match="there is no such message any more"):
        await rig.channel.edit(HERE, "5", plain("a"))


@pytest.mark.parametrize(
    ("code", "status", "sentence"),
    [
        (10003, 404, "there is no such channel any more"),
        (50001, 403, "the bot may not see that channel"),
        (50007, 403, "that person takes no messages from the bot"),
        (50013, 403, "give it Send Messages"),
        (50083, 400, "archived and locked"),
        (50035, 400, "Must be 2000 or fewer in length"),
    ],
)
async def test_what_discord_refuses_for_good_is_said_in_words(rig: Rig, code: int, status: int, sentence: str) -> None:
    rig.server.enqueue(SEND, refusing(status, code, "Must be 2000 or fewer in length"))
    fault = await fault_of(rig)

    assert isinstance(fault, SendFailed)
    assert sentence in str(fault)


async def test_who_blocked_the_bot_and_what_it_may_not_write_in_is_refused_for_good(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    rig.server.restrict(channel, "read")
    rig.server.block(ADA)

    assert "they blocked it" in str(await fault_of(rig))
    assert "may not write there" in str(await fault_of(rig, address(channel)))
    assert isinstance(await fault_of(rig, Address("discord", "1", "no number")), SendFailed)


@pytest.mark.parametrize(
    "behaviour", [failing(500), failing(502), html(503), drop_before_effect(), malformed(), raw(b"[]")]
)
async def test_a_call_that_may_have_arrived_leaves_that_open(rig: Rig, behaviour: Behaviour) -> None:
    await rig.channel.show_typing(HERE)
    rig.server.enqueue(SEND, behaviour)
    fault = await fault_of(rig)

    assert isinstance(fault, Unreachable)
    assert not isinstance(fault, NotSent)
    assert rig.called(SEND) == 1


async def test_a_call_that_fails_after_its_effect_is_made_good_by_its_nonce(rig: Rig) -> None:
    rig.server.enqueue(SEND, drop_after_effect())
    await fault_of(rig)
    number = await rig.channel.send(HERE, plain("a"), "n")

    assert [str(shown.id) for shown in rig.server.screen()] == [number]


async def test_where_nobody_answers_nothing_was_sent(rig: Rig) -> None:
    await rig.channel.show_typing(HERE)
    async with rig.server.unreachable():
        await fault_of(rig)  # the connection that breaks may have taken it
        fault = await fault_of(rig)

    assert isinstance(fault, NotSent)


@pytest.mark.parametrize("behaviour", [failing(500), malformed(), hang()])
async def test_a_login_that_fails_before_a_call_has_sent_nothing_of_it(behaviour: Behaviour) -> None:
    async with open_rig(replace(QUICK, call_seconds=0.3)) as rig:
        rig.server.enqueue(ME, behaviour)
        fault = await fault_of(rig)

    assert isinstance(fault, NotSent)
    assert rig.called(SEND) == 0


async def test_a_call_that_is_not_answered_in_time_is_given_up() -> None:
    async with open_rig(replace(QUICK, call_seconds=0.3)) as rig:
        rig.server.open_dm(ADA)
        await rig.channel.show_typing(HERE)
        rig.server.enqueue(SEND, hang())
        fault = await fault_of(rig)

    assert str(fault) == "it has not answered in time"
    assert not isinstance(fault, NotSent)


@pytest.mark.parametrize("seconds", [0.25, 20.0, 4_000.0])
async def test_too_many_calls_say_at_once_how_long_to_wait(rig: Rig, seconds: float) -> None:
    rig.server.enqueue(SEND, too_many_requests(seconds))
    began = time.monotonic()
    fault = await fault_of(rig)

    assert isinstance(fault, RateLimited)
    assert fault.retry_after_seconds == seconds
    assert time.monotonic() - began < 5
    assert rig.called(SEND) == 1


async def test_where_all_calls_are_too_many_none_is_made_until_it_is_over(rig: Rig) -> None:
    await rig.channel.show_typing(HERE)
    rig.server.enqueue(SEND, too_many_requests(0.3, is_global=True))
    first = await fault_of(rig)
    calls = len(rig.server.calls)
    second = await fault_of(rig)
    with pytest.raises(RateLimited):
        await rig.channel.show_typing(HERE)

    assert isinstance(first, RateLimited)
    assert isinstance(second, RateLimited)
    assert 0 < second.retry_after_seconds <= 0.3
    assert len(rig.server.calls) == calls


async def test_a_ban_is_a_time_to_wait_too(rig: Rig) -> None:
    rig.server.enqueue(SEND, banned())
    fault = await fault_of(rig)

    assert isinstance(fault, RateLimited)
    assert fault.retry_after_seconds == 5


async def test_a_token_that_is_refused_has_sent_nothing(rig: Rig) -> None:
    await rig.channel.show_typing(HERE)
    rig.server.enqueue(SEND, unauthorized())

    assert isinstance(await fault_of(rig), NotSent)


@pytest.mark.parametrize("behaviour", [html(401), html(403), html(404), html(413), elsewhere(403)])
async def test_a_refusal_that_is_not_discords_is_the_networks_fault_and_nothing_was_sent(
    rig: Rig, behaviour: Behaviour
) -> None:
    await rig.channel.show_typing(HERE)
    rig.server.enqueue(SEND, behaviour)
    fault = await fault_of(rig)

    assert isinstance(fault, NotSent)
    assert str(fault).startswith("something that is not Discord has refused it")


async def test_messages_can_be_sent_before_it_receives_and_while_the_gateway_is_away(rig: Rig) -> None:
    await rig.channel.send(HERE, plain("before"), "a")
    async with rig.running():
        rig.server.gateway.forget_sessions()
        rig.server.gateway.drop()
        await rig.channel.send(HERE, plain("between"), "b")
        await rig.sessions(2)
    await rig.channel.send(HERE, plain("after"), "c")

    assert texts(rig.server.screen()) == ["before", "between", "after"]
    assert rig.called(ME) == 1


async def test_the_librarys_own_waiting_is_never_needed_within_the_rates(rig: Rig) -> None:
    assert RATES.chat is not None
    rig.server.limits = Limits()
    number = await rig.channel.send(HERE, plain("0"), "n")
    began = time.monotonic()
    for count in range(RATES.chat.calls):
        await rig.channel.edit(HERE, number, plain(str(count)))

    assert time.monotonic() - began < 2
    assert rig.server.violations == []


async def test_a_deletion_that_is_refused_says_so(rig: Rig) -> None:
    rig.server.enqueue(DELETE, refusing(403, 50003, "Cannot execute action on this channel type"))
    with pytest.raises(SendFailed, match="50003"):
        await rig.channel.delete(HERE, "5")


async def test_a_call_that_is_given_up_leaves_no_connection_behind() -> None:
    async with DiscordServer() as server:
        channel: DiscordChannel = build_channel(server, waits=replace(QUICK, call_seconds=5))
        server.open_dm(ADA)
        server.enqueue(SEND, hang())
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(channel.send(HERE, plain("a"), "n"))
            while not any(called.name == SEND for called in server.calls):
                server.changed.clear()
                await server.changed.wait()
            task.cancel()
        await channel.close()

    assert task.cancelled()
    assert json.dumps(server.refusals) == "[]"


@pytest.mark.parametrize("said", ["Infinity", "NaN", "1e300", '"inf"', "-1", "0"])
async def test_a_time_to_wait_that_cannot_be_meant_silences_the_bot_for_a_day_at_most(rig: Rig, said: str) -> None:
    body = f'{{"message": "You are being rate limited.", "retry_after": {said}, "global": true}}'
    rig.server.enqueue(SEND, raw(body.encode(), 429))
    fault = await fault_of(rig)

    assert isinstance(fault, RateLimited)
    assert 1 <= fault.retry_after_seconds <= 86_400


@pytest.mark.parametrize("said", ["inf", "nan", "1e300", "-1"])
async def test_so_does_one_in_the_header(rig: Rig, said: str) -> None:
    async def behave(_call: Call) -> web.StreamResponse:
        return web.Response(body=b"error code: 1015", status=429, headers={"Retry-After": said})

    rig.server.enqueue(SEND, behave)
    fault = await fault_of(rig)

    assert isinstance(fault, RateLimited)
    assert 1 <= fault.retry_after_seconds <= 86_400
