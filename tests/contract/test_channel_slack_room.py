"""These tests check that many Slack places, or one busy place, do not hold up the others for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from channels.base import Address
from channels.slack.waits import Growing
from tests.contract.test_channel_slack_catchup import HISTORY, REPLIES, ago
from tests.platforms.slack_behaviours import failing, refusing, slow, too_many_requests
from tests.platforms.slack_rig import HERE, QUICK, Rig, known, open_rig, thread_of
from tests.platforms.slack_server import BOB, BOT, GENERAL


async def test_many_places_are_asked_a_few_at_a_time_and_one_that_speaks_at_once() -> None:
    async with open_rig() as rig:
        gate = asyncio.Event()
        people = [f"U0PERSON{number:02}" for number in range(8)]
        for number, person in enumerate(people):
            place = thread_of("", rig.server.dm_of(person))
            rig.known.append(known(type(place)("slack", place.account, place.chat), f"{ago(100 + number):.6f}"))
            rig.server.post(f"missed {number}", author=person, at=ago(50), unheard=True)
        rig.server.enqueue(HISTORY, *[slow(gate)] * 3)
        async with rig.running():
            await rig.until(lambda: rig.called(HISTORY) == 3)
            rig.server.post("live", author=people[7])
            await rig.acked(1)

            assert rig.texts == ["missed 7", "live"]

            gate.set()
            await rig.takes(9)

            assert rig.called(HISTORY) == 8


async def test_places_that_cannot_be_kept_hold_up_no_other_that_is_to_be_asked() -> None:
    async with open_rig() as rig:
        people = [f"U0PERSON{number:02}" for number in range(8)]
        places = [replace(HERE, chat=rig.server.dm_of(person)) for person in people]
        for number, (person, place) in enumerate(zip(people, places, strict=True)):
            rig.known.append(known(place, f"{ago(100 + number):.6f}"))
            rig.server.post(f"missed {number}", author=person, at=ago(50), unheard=True)
        stuck = [rig.gates.setdefault(place, asyncio.Event()) for place in places[:4]]
        async with rig.running():
            await rig.takes(4)

            assert sorted(rig.texts) == [f"missed {number}" for number in range(4, 8)]

            for gate in stuck:
                gate.set()
            await rig.takes(8)


async def test_places_where_something_cannot_be_kept_when_a_gap_ends_hold_up_no_other() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.deliveries.retry_seconds = ()
        people = [f"U0PERSON{number:02}" for number in range(8)]
        for person in people:
            rig.server.post("before", author=person)
        await rig.acked(8)
        stuck = [
            rig.gates.setdefault(replace(HERE, chat=rig.server.dm_of(person)), asyncio.Event()) for person in people[4:]
        ]
        for person in people[4:]:
            rig.server.post("stuck", author=person)
        await rig.until(lambda: len(rig.offered) == 12)
        for person in people:
            rig.server.post("missed", author=person, unheard=True)
        rig.server.drop()
        await rig.takes(12)

        assert sorted(rig.texts) == sorted(["before"] * 8 + ["missed"] * 4)

        for gate in stuck:
            gate.set()
        await rig.takes(20)


async def test_what_there_was_no_room_for_is_asked_for_when_there_is() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.05, most_waiting=4)) as rig, rig.running():
        rig.server.deliveries.ack_seconds, rig.server.deliveries.retry_seconds = 0.2, ()
        await rig.opened()
        rig.server.post("0")
        await rig.acked(1)
        gate = rig.gates[HERE] = asyncio.Event()
        for number in range(1, 8):
            rig.server.post(f"{number}")
        await rig.until(lambda: rig.channel.health.counts["overflow"] == 3)
        gate.set()
        await rig.takes(8)

        assert rig.texts == [f"{number}" for number in range(8)]


async def test_a_busy_place_takes_no_others_room_and_what_it_had_none_for_is_asked_for_when_it_has() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.02, most_waiting=8, most_in_place=4)) as rig, rig.running():
        rig.server.deliveries.ack_seconds, rig.server.deliveries.retry_seconds = 1, ()
        await rig.opened()
        gate = rig.gates[HERE] = asyncio.Event()
        for number in range(12):
            rig.server.post(f"{number}")
        for number in range(3):
            rig.server.post(f"from Bob {number}", author=BOB)
        await rig.acked(3)

        assert rig.texts == ["from Bob 0", "from Bob 1", "from Bob 2"]
        assert rig.channel.health.counts["overflow"] == 8
        assert rig.looks == 1

        gate.set()
        await rig.takes(15)

        assert rig.texts[3:] == [f"{number}" for number in range(12)]
        assert rig.looks == 2


async def test_what_there_was_no_room_for_is_asked_for_though_a_newer_message_was_taken() -> None:
    async with open_rig(replace(QUICK, most_waiting=4)) as rig, rig.running():
        rig.server.deliveries.ack_seconds, rig.server.deliveries.retry_seconds = 1, ()
        await rig.opened()
        gate, bob = asyncio.Event(), replace(HERE, chat=rig.server.dm_of(BOB))
        rig.gates = {HERE: gate, bob: asyncio.Event()}
        for number in range(3):
            rig.server.post(f"{number}", author=BOB)
        rig.server.post("one", at=ago(100))
        rig.server.post("left out", at=ago(80))
        await rig.until(lambda: rig.channel.health.counts["overflow"] == 1)
        gate.set()
        await rig.takes(1)
        rig.server.post("newer")
        await rig.takes(2)
        assert rig.texts == ["one", "newer"]

        rig.gates.pop(bob).set()
        await rig.takes(5)
        rig.server.post("a sign of life")
        await rig.until(lambda: "left out" in rig.texts)


@pytest.mark.parametrize("error", ["not_in_channel", "missing_scope"])
async def test_a_place_that_slack_did_not_tell_of_is_asked_for_after_the_next_gap_though_something_newer_came(
    error: str,
) -> None:
    async with open_rig() as rig:
        last = rig.server.post("before", at=ago(100), unheard=True)
        rig.server.post("missed", at=ago(60), unheard=True)
        rig.known = [known(HERE, last)]
        rig.server.enqueue(HISTORY, refusing(error))
        async with rig.running():
            await rig.until(lambda: rig.channel.health.counts["not_caught_up"])
            rig.server.post("newer")
            await rig.takes(1)
            rig.server.drop()
            await rig.takes(3)

        assert rig.texts == ["newer", "before", "missed"]


def people_heard(rig: Rig, count: int) -> list[Address]:
    """Let so many people be known, the first heard last, each of whom wrote something that was missed."""
    people = [f"U0PERSON{number:02}" for number in range(count)]
    places = [replace(HERE, chat=rig.server.dm_of(person)) for person in people]
    for number, (person, place) in enumerate(zip(people, places, strict=True)):
        rig.known.append(known(place, f"{ago(100 + number):.6f}"))
        rig.server.post(f"missed {number}", author=person, at=ago(50), unheard=True)
    return places


def asked_for(rig: Rig) -> list[str]:
    """Return the conversations whose history was asked for."""
    return [params["channel"] for method, params in rig.server.calls if method == HISTORY]


async def test_after_another_gap_the_place_heard_last_is_asked_first_though_others_were_left_from_the_one_before() -> (
    None
):
    async with open_rig() as rig:
        gate = asyncio.Event()
        places = people_heard(rig, 8)
        rig.server.enqueue(HISTORY, *[slow(gate)] * 3)
        async with rig.running():
            await rig.until(lambda: rig.called(HISTORY) == 3)
            rig.server.post("live", author="U0PERSON07")
            await rig.acked(1)
            rig.server.drop()
            await rig.until(lambda: rig.looks == 2)
            gate.set()
            await rig.until(lambda: len(asked_for(rig)) >= 8)

        assert asked_for(rig)[3:5] == [places[7].chat] * 2


async def test_what_waits_for_the_network_is_asked_for_as_soon_as_there_is_a_connection_again() -> None:
    async with open_rig(replace(QUICK, network=Growing(60, 60))) as rig:
        people_heard(rig, 4)
        rig.server.enqueue(HISTORY, *[failing()] * 3)
        async with rig.running():
            await rig.until(lambda: rig.called(HISTORY) == 3)
            rig.server.drop()
            await rig.takes(4)

        assert sorted(rig.texts) == [f"missed {number}" for number in range(4)]


async def test_threads_for_which_no_request_is_left_hold_up_no_direct_messages() -> None:
    async with open_rig() as rig:
        people_heard(rig, 2)
        for number in range(12):
            root = rig.server.post("a thread", channel=GENERAL, at=ago(40 + number), unheard=True)
            rig.known.insert(number, known(thread_of(root), root))
        rig.server.enqueue(REPLIES, too_many_requests(600))
        async with rig.running():
            await rig.takes(2)

        assert sorted(rig.texts) == ["missed 0", "missed 1"]


async def test_threads_heard_last_are_asked_before_others_though_their_channel_takes_longer() -> None:
    async with open_rig() as rig:
        other, gate = rig.server.open_channel("C0OTHER001").id, asyncio.Event()
        for number, channel in enumerate([GENERAL] * 3 + [other] * 5):
            root = rig.server.post("a thread", channel=channel, at=ago(100 + number), unheard=True)
            rig.known.append(known(thread_of(root, channel), root))
        rig.server.post(f"<@{BOT}> missed", channel=other, at=ago(50), unheard=True)
        rig.server.enqueue(HISTORY, slow(gate))
        async with rig.running():
            await rig.takes(1)
            rig.server.post("a sign of life")
            await rig.acked(1)
            early = rig.called(REPLIES)
            gate.set()
            await rig.until(lambda: rig.called(REPLIES) == 8)

        asked = [params["channel"] for method, params in rig.server.calls if method == REPLIES]
        assert early == 0
        assert asked[:3] == [GENERAL] * 3
