"""These tests check that Discord places whose history cannot be read now stay due, and that the reason is reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import structlog

from channels.base import KnownPlace
from channels.discord.past import NOT_SHOWN
from tests.platforms.discord_behaviours import failing, slow
from tests.platforms.discord_rig import HERE, Rig, address, open_rig
from tests.platforms.discord_server import BOB, HISTORY
from tests.platforms.discordapi.places import Access

AGO = 3_600


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


async def shut_and_missed(rig: Rig) -> int:
    """Let a channel be shut, where somebody was heard, and then wrote something more."""
    channel = rig.server.open_channel(rig.server.open_guild())
    rig.know(address(channel), rig.server.post("known", channel=channel, mention=True, at=time.time() - AGO))
    rig.server.post("missed", channel=channel, mention=True)
    rig.server.restrict(channel, "none")
    return channel


async def test_what_was_missed_in_a_place_that_was_shut_is_taken_before_what_is_heard_there_again(rig: Rig) -> None:
    channel = await shut_and_missed(rig)
    async with rig.running():
        await rig.notices(lambda: rig.channel.health.counts["place shut"] == 1)
        rig.server.restrict(channel, "full")
        rig.server.post("now", channel=channel, mention=True)
        await rig.until(lambda: "now" in rig.texts)

    assert list(dict.fromkeys(rig.texts)) == ["known", "missed", "now"]


async def test_a_place_that_was_shut_is_asked_for_again_after_the_next_gap_whatever_is_known_by_then(rig: Rig) -> None:
    channel = await shut_and_missed(rig)
    async with rig.running():
        await rig.notices(lambda: rig.channel.health.counts["place shut"] == 1)
        rig.server.restrict(channel, "full")
        rig.known.clear()
        rig.server.gateway.invalidate(can_resume=False)
        await rig.until(lambda: "missed" in rig.texts)

    assert rig.texts == ["known", "missed"]


async def test_a_place_that_was_shut_is_asked_for_again_at_the_next_start(rig: Rig) -> None:
    channel = await shut_and_missed(rig)
    async with rig.running():
        await rig.notices(lambda: rig.channel.health.counts["place shut"] == 1)
    rig.server.restrict(channel, "full")
    async with rig.running():
        await rig.until(lambda: "missed" in rig.texts)

    assert rig.texts == ["known", "missed"]


async def test_a_place_that_cannot_be_caught_up_is_named_until_it_is(rig: Rig) -> None:
    rig.know(HERE, rig.server.post("known", at=time.time() - AGO))
    rig.server.post("missed", at=time.time() - AGO)
    gate = asyncio.Event()
    rig.server.enqueue(HISTORY, failing(), slow(gate))
    async with rig.running():
        await rig.until(lambda: rig.called(HISTORY) == 2)
        rig.server.post("elsewhere", author=BOB)
        await rig.notices(lambda: rig.channel.health.fault)
        fault = rig.channel.health.fault
        gate.set()
        await rig.until(lambda: "missed" in rig.texts)
        rig.server.post("later", author=BOB)
        await rig.notices(lambda: not rig.channel.health.fault)

    assert fault == "what was missed in one place cannot be fetched yet: Discord answers 502"


@pytest.mark.parametrize("access", ["live", "full"])
async def test_where_the_history_is_not_shown_for_want_of_a_permission_that_is_said_once_a_place(
    rig: Rig, access: Access
) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    thread = rig.server.open_thread(channel)
    rig.server.restrict(channel, access)
    ago = datetime.fromtimestamp(time.time() - AGO, UTC)
    rig.known = [KnownPlace(place, ago) for place in (address(channel), address(channel, thread))]
    with structlog.testing.capture_logs() as events:
        async with rig.running():
            await rig.until(lambda: rig.called(HISTORY) == 2)
            rig.server.gateway.invalidate(can_resume=False)
            await rig.until(lambda: rig.called(HISTORY) == 4)
            await rig.notices(lambda: rig.channel.health.counts["history not shown"] >= 2 * (access == "live"))
    said = [event["reason"] for event in events if event["event"] == "history_not_shown"]

    assert said == [NOT_SHOWN] * (2 if access == "live" else 0)
