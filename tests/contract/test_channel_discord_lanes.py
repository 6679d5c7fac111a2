"""These tests check a Discord place with more than can wait: what is dropped and fetched, what is kept, and told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from channels.base import InboundDelete, InboundEdit, InboundMessage
from channels.discord.intake import TOO_MUCH
from channels.discord.lanes import MOST_CHANGES, MOST_WAITING, Lanes
from channels.discord.offers import Heard
from channels.discord.rooms import Room
from channels.health import Health
from tests.platforms.discord_rig import QUICK, Rig, open_rig
from tests.platforms.discord_server import ADA_DM


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        opened.gates[str(ADA_DM)] = asyncio.Event()
        yield opened


def fill(rig: Rig, more: int = 0) -> list[int]:
    """Let so many messages wait as can wait in a place, and more."""
    return [rig.server.post(str(number)) for number in range(MOST_WAITING + more)]


async def test_more_than_waits_in_memory_is_let_go_and_fetched_in_its_turn(rig: Rig) -> None:
    rig.gates[str(ADA_DM)] = asyncio.Event()
    count = MOST_WAITING + 50
    async with rig.running():
        for number in range(count):
            rig.server.post(str(number))
        await rig.notices(lambda: rig.channel.health.counts["overflowed"] == 50)
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: str(count - 1) in rig.texts)

    assert rig.texts == [str(number) for number in range(count)]


async def test_what_changes_a_message_is_kept_however_much_waits(rig: Rig) -> None:
    async with rig.running():
        numbers = fill(rig, more=1)
        rig.server.post_edit(numbers[3], "three, once")
        rig.server.post_edit(numbers[3], "three, changed")
        rig.server.post_edit(numbers[5], "five, changed")
        rig.server.post_delete(numbers[5])
        last = rig.server.post("last")
        rig.server.post_edit(last, "last, changed")
        await rig.notices(lambda: rig.channel.health.counts["overflowed"] == 2)
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: "last, changed" in rig.texts)
    changes = [inbound for inbound in rig.took if not isinstance(inbound, InboundMessage)]

    assert rig.texts == [*(str(number) for number in range(MOST_WAITING + 1)), "last, changed"]
    assert [change.text for change in changes if isinstance(change, InboundEdit)][:1] == ["three, changed"]
    assert [change.message_id for change in changes if isinstance(change, InboundDelete)] == [str(numbers[5])]
    assert "five, changed" not in {change.text for change in changes if isinstance(change, InboundEdit)}


async def test_changes_come_after_what_waited_before_them_and_before_what_is_fetched(rig: Rig) -> None:
    async with rig.running():
        numbers = fill(rig)
        rig.server.post_edit(numbers[0], "changed")
        rig.server.post("after")
        await rig.notices(lambda: rig.channel.health.counts["overflowed"] == 1)
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: "after" in rig.texts)
    [edit] = [number for number, inbound in enumerate(rig.took) if isinstance(inbound, InboundEdit)]

    assert edit == MOST_WAITING
    assert rig.texts[-1] == "after"


async def test_a_command_for_which_there_is_no_room_is_not_taken_and_its_sender_told(rig: Rig) -> None:
    async with rig.running():
        await rig.until(lambda: rig.server.commands.names)
        fill(rig)
        number = rig.server.interact("new")
        await rig.until(lambda: rig.server.interactions[number].text)
        rig.gates[str(ADA_DM)].set()
        await rig.takes(MOST_WAITING)
        again = rig.server.interact("new")
        await rig.until(lambda: rig.server.interactions[again].text)

    assert rig.server.interactions[number].text == TOO_MUCH
    assert rig.texts.count("/new") == 1
    assert rig.server.interactions[again].text == "/new"


def build(number: int, changes: int | None = None) -> Heard:
    """Build what is handed over in place 1: a message, or what changes one."""
    return Heard(1, lambda _room: None, Room("1"), None if changes else number, changes=changes)


async def test_what_comes_while_changes_wait_is_fetched_behind_them_though_there_is_room_again() -> None:
    took: list[str] = []
    steps = asyncio.Semaphore(1)
    has_begun = asyncio.Event()

    async def offer(heard: Heard) -> None:
        await steps.acquire()
        took.append(f"change of {heard.changes}" if heard.changes else str(heard.message_id))
        has_begun.set()

    async def fetch(_channel: int, after: int) -> bool:
        took.append(f"all after {after}")
        return True

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, offer, fetch, Health(asyncio.get_running_loop().time), QUICK)
        lanes.release({})
        for number in range(1, MOST_WAITING + 1):
            lanes.put(build(number))
        lanes.put(build(0, changes=5))
        await has_begun.wait()
        lanes.put(build(MOST_WAITING + 1))
        for _ in range(MOST_WAITING):
            steps.release()

    assert took[-3:] == [str(MOST_WAITING), "change of 5", f"all after {MOST_WAITING}"]
    assert len(took) == MOST_WAITING + 2


async def test_changes_without_end_are_bounded_and_the_loss_is_counted_and_logged() -> None:
    took: list[int] = []
    free = asyncio.Event()

    async def offer(heard: Heard) -> None:
        await free.wait()
        took.append(heard.message_id or heard.changes or 0)

    async def fetch(_channel: int, _after: int) -> bool:
        raise AssertionError

    health = Health(asyncio.get_running_loop().time)
    with structlog.testing.capture_logs() as events:
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, offer, fetch, health, QUICK)
            lanes.release({})
            for number in range(1, MOST_WAITING + 1):
                lanes.put(build(number))
            taken = [lanes.put(build(0, changes)) for changes in range(1, MOST_CHANGES + 2)]
            taken.append(lanes.put(build(0, 1)))
            free.set()

    assert (taken.count(True), taken[-2]) == (MOST_CHANGES + 1, False)
    assert len(took) == MOST_WAITING + MOST_CHANGES
    assert health.counts["changes lost"] == 1
    assert [event["event"] for event in events] == ["change_lost"]


async def test_what_could_not_be_read_is_asked_for_from_its_beginning_however_often_it_is_refused() -> None:
    fetched: list[int] = []
    was_refused_twice = asyncio.Event()

    async def fetch(_channel: int, after: int) -> bool:
        fetched.append(after)
        if len(fetched) == 2:
            was_refused_twice.set()
        return len(fetched) > 2

    async def offer(_heard: Heard) -> None:
        return

    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, offer, fetch, Health(asyncio.get_running_loop().time), QUICK)
        lanes.release({1: 10})
        for number in range(20, 20 + MOST_WAITING + 1):  # one more than waits, which is fetched after these
            lanes.put(build(number))
        await was_refused_twice.wait()
        lanes.release({})

    assert fetched == [10, 19 + MOST_WAITING, 10]
