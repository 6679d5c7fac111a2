"""These tests check that catching up on Discord is bounded, and that no place stops the others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog

from channels.discord.past import MOST_PAGES, PAGE_MESSAGES
from channels.discord.waits import WAITS
from tests.platforms.discord_behaviours import hang, raw
from tests.platforms.discord_rig import HERE, QUICK, Rig, address, open_rig
from tests.platforms.discord_server import HISTORY, dm_of

AGO = 7_200
MOST = MOST_PAGES * PAGE_MESSAGES
STUCK = range(1_000, 1_004)
OTHERS = range(1_004, 1_010)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig(replace(QUICK, slot_seconds=0.1)) as opened:
        yield opened


def talk(rig: Rig, channel: int, count: int, *, to_bot: tuple[int, ...]) -> list[int]:
    """Let people write, some of it to the bot, a second apart."""
    began = time.time() - AGO
    return [
        rig.server.post(str(number), channel=channel, at=began + number, mention=number in to_bot)
        for number in range(count)
    ]


async def test_of_a_channel_where_too_much_was_written_the_oldest_page_and_the_newest_are_read(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    count = MOST + 50
    left, first, last = PAGE_MESSAGES + 20, PAGE_MESSAGES - 10, count - 1
    numbers = talk(rig, channel, count, to_bot=(0, first, left, left + 50, last - 800, last))
    rig.know(address(channel), numbers[0])
    with structlog.testing.capture_logs() as events:
        async with rig.running():
            await rig.until(lambda: str(last) in rig.texts)
    cut = [event for event in events if event["event"] == "catch_up_cut"]

    assert rig.texts == [str(number) for number in (0, first, left + 50, last - 800, last)]
    assert rig.called(HISTORY) == MOST_PAGES
    assert rig.channel.health.counts["catch-up cut"] == 1
    assert [(event["place"], event["messages"]) for event in cut] == [(channel, MOST)]


async def test_as_much_as_is_read_of_a_channel_is_read_whole_and_in_order(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    to_bot = tuple(range(0, 350, 25))
    numbers = talk(rig, channel, 350, to_bot=to_bot)
    rig.know(address(channel), numbers[0])
    async with rig.running():
        await rig.until(lambda: str(to_bot[-1]) in rig.texts)

    assert rig.texts == [str(number) for number in to_bot]
    assert rig.called(HISTORY) == 4
    assert rig.channel.health.counts["catch-up cut"] == 0


async def test_in_private_more_than_that_is_read_whole(rig: Rig) -> None:
    numbers = talk(rig, rig.server.open_dm(1_000), MOST + 50, to_bot=())
    rig.know(address(dm_of(1_000)), numbers[0])
    async with rig.running():
        await rig.until(lambda: str(MOST + 49) in rig.texts)

    assert rig.texts == [str(number) for number in range(MOST + 50)]
    assert rig.channel.health.counts["catch-up cut"] == 0


async def test_a_message_without_an_id_does_not_end_a_page(rig: Rig) -> None:
    numbers = talk(rig, rig.server.open_dm(700_000_000_000_000_007), PAGE_MESSAGES + 5, to_bot=())
    rig.know(HERE, numbers[0])
    told = [rig.server.history.as_message(rig.server.messages[number]) for number in numbers[:PAGE_MESSAGES]]
    told[3] = {"no": "id"}
    rig.server.enqueue(HISTORY, raw(json.dumps(told[::-1]).encode()))
    async with rig.running():
        await rig.until(lambda: str(PAGE_MESSAGES + 4) in rig.texts)

    assert rig.texts == [str(number) for number in range(PAGE_MESSAGES + 5) if number != 3]


def know_people(rig: Rig) -> None:
    """Let everybody have written something that was missed: those who will be stuck are asked first."""
    for person in (*STUCK, *OTHERS):
        number = rig.server.post(f"from {person}", author=person, at=time.time() - AGO)
        rig.know(address(dm_of(person)), number)


async def test_places_whose_messages_are_not_accepted_do_not_stop_the_others_from_being_caught_up(rig: Rig) -> None:
    know_people(rig)
    for person in STUCK:
        rig.gates[str(dm_of(person))] = asyncio.Event()
    async with rig.running():
        await rig.takes(len(OTHERS))
        early = set(rig.texts)
        for gate in rig.gates.values():
            gate.set()
        await rig.takes(len(OTHERS) + len(STUCK))

    assert early == {f"from {person}" for person in OTHERS}
    assert set(rig.texts) - early == {f"from {person}" for person in STUCK}


async def test_places_about_which_discord_is_silent_do_not_stop_the_others_from_being_caught_up() -> None:
    async with open_rig(replace(QUICK, slot_seconds=0.1, call_seconds=1)) as rig:
        know_people(rig)
        rig.server.enqueue(HISTORY, *[hang()] * len(STUCK))
        async with rig.running():
            await rig.takes(len(OTHERS))
            early = set(rig.texts)
            await rig.takes(len(OTHERS) + len(STUCK))

        assert early == {f"from {person}" for person in OTHERS}
        assert set(rig.texts) - early == {f"from {person}" for person in STUCK}
        assert WAITS.slot_seconds < WAITS.call_seconds
