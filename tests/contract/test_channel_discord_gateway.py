"""These tests check sessions of Discord's gateway: resumed, begun again, and refused by Discord."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import pytest
import structlog

from channels.discord.intake import WITHHELD
from channels.discord.waits import WAITS, Growing
from channels.errors import ChannelUnavailable
from tests.platforms.discord_behaviours import failing, hang, too_many_requests
from tests.platforms.discord_rig import QUICK, Rig, open_rig
from tests.platforms.discord_server import ADA_DM, CONNECT, HISTORY

MESSAGE_CONTENT = 1 << 15
FATAL = {
    4004: "channels_config.discord.token: Discord does not know this token (4004)",
    4010: "channels_config.discord: Discord refuses the shard (4010)",
    4011: "channels_config.discord: the bot is in more servers than one connection may serve (4011)",
    4012: "channels_config.discord: Discord has given up the version of its gateway",
    4013: "channels_config.discord: Discord does not know the intents",
    4014: "channels_config.discord: Discord does not show this bot what is written in servers (4014): switch on "
    "Message Content Intent",
}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


def identify(rig: Rig) -> list[int]:
    """Return the intents of each session that was asked for."""
    return [sent["d"]["intents"] for sent in rig.server.gateway.received if sent["op"] == 2]


async def test_only_messages_are_asked_for_and_in_private_alone_where_servers_are_off(rig: Rig) -> None:
    async with rig.running():
        asked = identify(rig)
    async with open_rig(guilds="off") as other, other.running():
        asked += identify(other)

    assert asked == [1 << 0 | 1 << 9 | 1 << 12 | MESSAGE_CONTENT, 1 << 12]


@pytest.mark.parametrize("code", [4000, 4008])
async def test_a_connection_that_ends_goes_on_where_it_ended(rig: Rig, code: int) -> None:
    async with rig.running():
        rig.server.post("before")
        await rig.takes(1)
        rig.server.gateway.close(code)
        await rig.until(lambda: not rig.server.gateway.is_connected)
        rig.server.post("meanwhile")
        await rig.takes(2)

    assert rig.texts == ["before", "meanwhile"]
    assert (len(rig.server.gateway.identified), rig.server.gateway.resumed, rig.asked) == (1, 1, 1)
    assert rig.called(HISTORY) == 0


async def test_a_network_that_breaks_loses_nothing(rig: Rig) -> None:
    async with rig.running():
        async with rig.server.unreachable():
            rig.server.post("meanwhile")
            await rig.notices(lambda: rig.channel.health.fault)
            fault = rig.channel.health.fault
        rig.server.post("after")
        await rig.takes(2)
        await rig.notices(lambda: not rig.channel.health.fault)

    assert rig.texts == ["meanwhile", "after"]
    assert fault.startswith("Discord's gateway cannot be reached: ")


async def test_a_reconnect_that_discord_asks_for_goes_on_at_once(rig: Rig) -> None:
    async with rig.running():
        rig.server.gateway.reconnect()
        await rig.until(lambda: rig.server.gateway.resumed)
        rig.server.post("after")
        await rig.takes(1)

    assert len(rig.server.gateway.identified) == 1
    assert rig.channel.health.fault == ""


@pytest.mark.parametrize(("can_resume", "sessions"), [(True, 1), (False, 2)])
async def test_a_session_that_is_void_begins_anew_unless_it_may_go_on(
    rig: Rig, *, can_resume: bool, sessions: int
) -> None:
    async with rig.running():
        rig.server.gateway.invalidate(can_resume=can_resume)
        await rig.sessions(sessions)
        await rig.until(lambda: rig.server.gateway.is_connected)
        rig.server.post("after")
        await rig.takes(1)

    assert len(rig.server.gateway.identified) == sessions
    assert rig.asked == sessions


async def test_a_session_that_discord_forgot_begins_anew_and_what_was_missed_is_fetched(rig: Rig) -> None:
    async with rig.running():
        known = rig.server.post("known")
        [first] = await rig.takes(1)
        rig.know(first.address, known)
        rig.server.gateway.forget_sessions()
        rig.server.gateway.drop()
        rig.server.post("missed")
        await rig.sessions(2)
        rig.server.post("live")
        await rig.notices(lambda: "live" in rig.texts)

    # What is found twice is recognised by the daemon.
    assert list(dict.fromkeys(rig.texts)) == ["known", "missed", "live"]


async def test_a_payload_that_cannot_be_read_costs_the_session_and_not_the_daemon(rig: Rig) -> None:
    async with rig.running():
        known = rig.server.post("known")
        [first] = await rig.takes(1)
        rig.know(first.address, known)
        rig.server.gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": {"id": "5"}})
        rig.server.post("behind it")
        await rig.sessions(2)
        await rig.notices(lambda: "behind it" in rig.texts)

    assert rig.channel.health.counts["unparsable"] == 1
    assert rig.server.gateway.resumed == 0


@pytest.mark.parametrize(
    "payload",
    [
        {"op": 0, "t": "GUILD_CREATE", "d": None},
        {"op": 0, "t": "MESSAGE_UPDATE", "d": {"id": "x", "channel_id": str(ADA_DM)}},
        {"op": 0, "t": "MESSAGE_DELETE", "d": []},
        {"op": 0, "t": "INTERACTION_CREATE", "d": {"id": "1", "type": 2}},
    ],
)
async def test_whatever_comes_the_channel_goes_on(rig: Rig, payload: dict[str, object]) -> None:
    async with rig.running():
        rig.server.gateway.push_raw(payload)
        await rig.sessions(2)
        rig.server.post("after")
        await rig.takes(1)

    assert rig.channel.health.counts["unparsable"] == 1


async def test_events_of_no_interest_are_passed_over(rig: Rig) -> None:
    async with rig.running():
        rig.server.gateway.push_raw({"op": 0, "t": "SOMETHING_NEW", "d": {"a": 1}})
        rig.server.gateway.push_raw({"op": 77, "d": None})
        rig.server.post("after")
        await rig.takes(1)

    assert len(rig.server.gateway.identified) == 1


async def test_what_makes_every_session_fail_is_tried_ever_more_rarely() -> None:
    async with open_rig(replace(QUICK, identify=Growing(0.05, 0.4))) as rig:
        greet = rig.server.gateway.greet
        began: list[float] = []

        def poison(session: object) -> None:
            began.append(time.monotonic())
            rig.server.gateway.tell_one(session, "SOMETHING", {})  # type: ignore[arg-type]
            rig.server.gateway.push_raw({"op": 0, "t": "READY", "d": {}})

        rig.server.gateway.greet = poison
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(rig.channel.run(rig.accept, rig.places))
            await rig.until(lambda: len(began) == 4)
            rig.server.gateway.greet = greet
            await rig.until(lambda: len(rig.server.gateway.identified) == 5)
            rig.server.post("hello")
            await rig.takes(1)
            task.cancel()
        pauses = [after - before for before, after in pairwise(began)]

        assert pauses[0] >= 0.04
        assert pauses[1] >= 0.09
        assert pauses[2] >= 0.19
    assert 86_400 / WAITS.identify.after(99) < 1_000


async def test_connections_that_are_closed_at_once_are_not_made_without_pause() -> None:
    async with open_rig(replace(QUICK, network=Growing(0.05, 0.2))) as rig:
        rig.server.enqueue(CONNECT, *[failing(503)] * 3, None)
        began = time.monotonic()
        async with rig.running():
            pass

        assert time.monotonic() - began >= 0.05 + 0.1
        assert len(rig.server.gateway.identified) == 1
    assert (WAITS.network.after(0), WAITS.network.after(9)) == (1, 60)


async def test_a_gateway_that_says_nothing_is_given_up_named_and_connected_to_again() -> None:
    async with open_rig(replace(QUICK, silent_seconds=0.3)) as rig:
        async with rig.running():
            rig.server.gateway.mute()
            await rig.notices(lambda: rig.channel.health.counts["stalled"])
            fault = rig.channel.health.fault
            rig.server.post("after")
            await rig.takes(1)

        assert fault == "Discord's gateway is silent for 0.3 s"
        assert rig.server.gateway.resumed == 1
        assert WAITS.silent_seconds < 90


async def test_a_gateway_that_begins_no_session_is_given_up_though_it_answers_heartbeats() -> None:
    async with open_rig(replace(QUICK, silent_seconds=0.3)) as rig:
        rig.server.gateway.heartbeat_seconds = 0.1
        greet, rig.server.gateway.greet = rig.server.gateway.greet, lambda _session: None
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(rig.channel.run(rig.accept, rig.places))
            await rig.notices(lambda: rig.channel.health.counts["stalled"])
            fault = rig.channel.health.fault
            rig.server.gateway.greet = greet
            await rig.until(lambda: rig.asked)
            rig.server.post("after")
            await rig.takes(1)
            task.cancel()

        assert fault == "Discord's gateway begins no session for 0.3 s"
        assert rig.server.gateway.resumed == 0


async def test_a_session_that_discord_will_not_go_on_with_begins_anew(rig: Rig) -> None:
    async with rig.running():
        known = rig.server.post("known")
        [first] = await rig.takes(1)
        rig.know(first.address, known)
        for session in rig.server.gateway.sessions.values():
            session.seq = 1  # what comes after that is unknown to it, and is answered by 4007
        rig.server.gateway.drop()
        await rig.sessions(2)
        rig.server.post("after")
        await rig.notices(lambda: "after" in rig.texts)

    assert rig.server.gateway.closed.count(4007) == 1


async def test_the_answers_to_heartbeats_are_signs_of_life() -> None:
    async with open_rig(replace(QUICK, silent_seconds=0.8)) as rig:
        rig.server.gateway.heartbeat_seconds = 0.3
        async with rig.running():
            beats = rig.server.gateway.heartbeats
            await rig.until(lambda: rig.server.gateway.heartbeats > beats + 3)
            silent = rig.channel.health.silent_seconds

        assert silent is not None
        assert silent < 0.8
        assert rig.channel.health.counts["stalled"] == 0
        assert len(rig.server.gateway.identified) == 1


async def test_a_gateway_that_does_not_say_hello_is_left() -> None:
    async with open_rig(replace(QUICK, connect_seconds=0.2)) as rig:
        rig.server.enqueue(CONNECT, hang(), None)
        async with rig.running():
            pass

        assert rig.called(CONNECT) == 2


@pytest.mark.parametrize("code", FATAL)
async def test_a_code_that_is_final_at_the_start_is_a_fault_of_the_configuration(rig: Rig, code: int) -> None:
    rig.server.gateway.greet = lambda _session: rig.server.gateway.close(code)
    with pytest.raises(ChannelUnavailable) as refused:
        await rig.channel.run(rig.accept, rig.places)

    assert str(refused.value).startswith(FATAL[code])
    assert rig.called(CONNECT) == 1


async def test_an_intent_that_is_not_switched_on_is_named(rig: Rig) -> None:
    rig.server.gateway.allowed.discard(MESSAGE_CONTENT)
    with pytest.raises(ChannelUnavailable, match="switch on Message Content Intent"):
        await rig.channel.run(rig.accept, rig.places)


async def test_an_intent_that_is_switched_off_later_is_named_and_tried_again(rig: Rig) -> None:
    async with rig.running():
        rig.server.gateway.allowed.discard(MESSAGE_CONTENT)
        rig.server.gateway.invalidate(can_resume=False)
        await rig.notices(lambda: "Message Content Intent" in rig.channel.health.fault)
        rig.server.gateway.allowed.add(MESSAGE_CONTENT)
        await rig.until(lambda: len(rig.server.gateway.identified) == 2)
        rig.server.post("after")
        await rig.takes(1)

    assert rig.channel.health.fault == ""
    assert WAITS.switched_off.after(0) == 600


async def test_messages_whose_content_is_withheld_are_noticed_and_said_once(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    with structlog.testing.capture_logs() as events:
        async with rig.running():
            for session in rig.server.gateway.sessions.values():
                session.intents &= ~MESSAGE_CONTENT
            rig.server.post("among us", channel=channel)
            rig.server.post("still", channel=channel)
            rig.server.post("to you", channel=channel, mention=True)
            await rig.takes(1)
            await rig.notices(lambda: rig.channel.health.fault)

    assert rig.texts == ["to you"]
    assert rig.channel.health.fault == WITHHELD
    assert [event["event"] for event in events].count("messages_withheld") == 1


async def test_what_is_withheld_of_an_edit_takes_nothing_away(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    async with rig.running():
        number = rig.server.post("to you", channel=channel, mention=True)
        await rig.takes(1)
        for session in rig.server.gateway.sessions.values():
            session.intents &= ~MESSAGE_CONTENT
        rig.server.post_edit(number, "among us")
        await rig.notices(lambda: rig.channel.health.counts["withheld"])

    assert len(rig.took) == 1


async def test_what_is_shown_again_is_withheld_no_more() -> None:
    async with open_rig(guilds="all") as rig:
        channel = rig.server.open_channel(rig.server.open_guild())
        async with rig.running():
            for session in rig.server.gateway.sessions.values():
                session.intents &= ~MESSAGE_CONTENT
            rig.server.post("kept back", channel=channel)
            await rig.notices(lambda: rig.channel.health.fault)
            for session in rig.server.gateway.sessions.values():
                session.intents |= MESSAGE_CONTENT
            rig.server.post("shown", channel=channel)
            await rig.takes(1)
            await rig.notices(lambda: not rig.channel.health.fault)

        assert rig.texts == ["shown"]


async def test_discord_is_left_alone_where_it_wants_no_connection() -> None:
    async with open_rig() as rig:
        rig.server.enqueue(CONNECT, too_many_requests(0.2), None)
        async with rig.running():
            pass

        assert len(rig.server.gateway.identified) == 1
