"""These tests check that Telegram updates are taken in order, and confirmed by the offset once they are on disk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.telegram.lanes import TRIES_AGAIN
from channels.telegram.waits import WAITS, Growing
from tests.platforms.telegram_behaviours import hang, raw
from tests.platforms.telegram_rig import QUICK, Rig, open_rig
from tests.platforms.telegram_server import CONFIRM

BATCH_OF_NONE = b'{"ok":true,"result":[]}'
PERSON = {"id": 7, "is_bot": False, "first_name": "Ada"}
REFUSED = "The disk is full."
TOLD = f"{REFUSED} {TRIES_AGAIN}"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


async def test_polls_are_long_and_ask_for_messages_edits_and_membership_alone(rig: Rig) -> None:
    async with rig.running():
        await rig.polled(1)
    [poll] = [params for method, params in rig.server.calls if method == "getUpdates"]

    assert poll == {"limit": 100, "timeout": 30, "allowed_updates": ["message", "edited_message", "my_chat_member"]}


async def test_an_update_is_confirmed_only_after_it_was_accepted(rig: Rig) -> None:
    rig.gates["7"] = asyncio.Event()
    rig.server.post("one")
    async with rig.running():
        await rig.until(lambda: rig.offered)
        await rig.polled(3)
        waiting = rig.server.unconfirmed
        rig.gates["7"].set()
        await rig.confirmed()

    assert waiting == [500_001]
    assert (rig.texts, len(rig.offered)) == (["one"], 1)


async def test_a_chat_that_takes_long_holds_up_no_other_and_keeps_its_own_order(rig: Rig) -> None:
    rig.gates["7"] = asyncio.Event()
    rig.server.post("slow")
    async with rig.running():
        await rig.until(lambda: rig.offered)
        for chat, text in ((8, "a"), (7, "after"), (8, "b")):
            rig.server.post(text, chat=chat, sender=chat)
        await rig.takes(2)
        await rig.polled(5)
        meanwhile, waiting = list(rig.texts), rig.server.unconfirmed
        rig.gates["7"].set()
        await rig.confirmed()

    assert (meanwhile, len(waiting)) == (["a", "b"], 4)
    assert rig.texts == ["a", "b", "slow", "after"]
    assert len(rig.offered) == 4


async def test_while_something_is_in_progress_polls_do_not_wait_and_become_rarer() -> None:
    async with open_rig(replace(QUICK, busy=Growing(0.02, 0.08))) as rig:
        rig.gates["7"] = asyncio.Event()
        rig.server.post("slow")
        async with rig.running():
            await rig.polled(2)
            began = time.monotonic()
            await rig.polled(5)
            took = time.monotonic() - began
        timeouts = [params["timeout"] for method, params in rig.server.calls if method == "getUpdates"][1:]

        assert timeouts == [0, 0, 0, 0]
        assert took >= 0.04 + 0.08 + 0.08


async def test_the_daemon_polls_no_more_than_twice_a_second_while_something_is_in_progress() -> None:
    assert WAITS.busy.after(0) == 0.5
    assert WAITS.stuck.after(100) == 60


async def test_what_is_not_accepted_is_offered_again_in_its_place_and_its_sender_told_once(rig: Rig) -> None:
    rig.refusals.extend([REFUSED] * 3)
    rig.server.post("one")
    rig.server.post("two")
    async with rig.running():
        await rig.until(lambda: len(rig.offered) == 3)
        waiting = rig.server.unconfirmed
        await rig.confirmed()

    assert waiting == [500_001, 500_002]
    assert rig.texts == ["one", "two"]
    assert [shown.text for shown in rig.server.screen()] == [TOLD]


async def test_a_chat_whose_messages_are_not_accepted_holds_up_no_other(rig: Rig) -> None:
    rig.refused.add("7")
    rig.server.post("one")
    rig.server.post("two", chat=8, sender=8)
    async with rig.running():
        await rig.until(lambda: len(rig.offered) > 4)
        rig.server.post("three", chat=8, sender=8)
        await rig.takes(2)
        waiting = rig.server.unconfirmed
        rig.refused.clear()
        await rig.confirmed()

    assert rig.texts == ["two", "three", "one"]
    assert waiting[0] == 500_001


async def test_a_stop_does_not_wait_for_what_is_not_accepted() -> None:
    async with open_rig(replace(QUICK, refused=Growing(60, 60))) as rig:
        rig.refused.add("7")
        rig.server.post("one")
        began = time.monotonic()
        async with rig.running():
            await rig.until(lambda: rig.server.screen())

        assert time.monotonic() - began < 10
        assert rig.server.unconfirmed == [500_001]


async def test_what_is_not_accepted_shows_in_the_health_until_it_is(rig: Rig) -> None:
    rig.refusals.extend([REFUSED] * 40)
    rig.server.post("one")
    async with rig.running():
        await rig.until(lambda: rig.offered)
        await rig.polled(6)
        fault = rig.channel.health.fault
        rig.refusals.clear()
        await rig.confirmed()
        await rig.until(lambda: rig.server.calls[-1][1].get("timeout") == 30)
        rig.server.post("two", chat=8)
        await rig.confirmed()

    assert fault == f"what comes in cannot be kept: {REFUSED}"
    assert rig.channel.health.fault == ""


async def test_a_second_incident_is_told_again(rig: Rig) -> None:
    async with rig.running():
        for number in (1, 2):
            rig.refusals.extend([REFUSED] * 2)
            rig.server.post("one")
            await rig.takes(number)
            await rig.confirmed()

    assert [shown.text for shown in rig.server.screen()] == [TOLD] * 2


async def test_a_sender_who_cannot_be_told_is_no_fault(rig: Rig) -> None:
    rig.refusals.append(REFUSED)
    rig.server.post("one")
    rig.server.block(7)
    rig.server.updates.confirm(0)
    async with rig.running():
        await rig.takes(1)
        await rig.confirmed()

    assert rig.texts == ["one"]
    assert rig.server.screen() == []


@pytest.mark.parametrize(
    "broken",
    [
        {"message": 5},
        {"message": {"message_id": 1}},
        {"message": {"message_id": 1, "date": "yesterday", "chat": {"id": 7, "type": "private"}}},
        {"edited_message": {"message_id": 1, "date": 1_700_000_000, "chat": 7}},
        {"my_chat_member": {"chat": {"id": 7}}},
    ],
)
async def test_an_update_that_cannot_be_read_is_passed_over_and_confirmed(rig: Rig, broken: dict[str, object]) -> None:
    rig.server.post("before")
    rig.server.push_raw(broken)
    rig.server.post("after")
    async with rig.running():
        await rig.takes(2)
        await rig.confirmed()

    assert rig.texts == ["before", "after"]
    assert rig.channel.health.counts["unparsable"] == 1


async def test_an_update_without_an_id_is_passed_over(rig: Rig) -> None:
    rig.server.enqueue("getUpdates", raw(b'{"ok":true,"result":[5,{"update_id":"x"},{"message":{}}]}'))
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)

    assert rig.texts == ["one"]


async def test_kinds_that_nobody_asked_for_are_confirmed(rig: Rig) -> None:
    rig.server.push_raw({"poll_answer": {"poll_id": "1", "option_ids": [0], "option_persistent_ids": []}})
    rig.server.push_raw({"something_new": {}})
    async with rig.running():
        await rig.confirmed()

    assert rig.took == []
    assert rig.channel.health.counts["other"] + rig.channel.health.counts["unparsable"] == 2


async def test_answers_that_bring_nothing_at_once_do_not_make_it_spin() -> None:
    async with open_rig(replace(QUICK, empty=Growing(0.02, 0.1))) as rig:
        rig.server.enqueue("getUpdates", *[raw(BATCH_OF_NONE)] * 5, hang())
        async with rig.running():
            await rig.polled(1)
            began = time.monotonic()
            await rig.polled(6)

        assert time.monotonic() - began >= 0.02 + 0.04 + 0.08 + 0.1 + 0.1
        assert WAITS.empty.after(0) == 0.25


async def test_a_server_that_never_forgets_an_update_is_not_asked_without_pause_and_the_update_taken_once() -> None:
    async with open_rig(replace(QUICK, empty=Growing(0.02, 0.1))) as rig:
        one = {
            "message_id": 1,
            "date": 1_700_000_000,
            "text": "one",
            "from": PERSON,
            "chat": {"id": 7, "type": "private"},
        }
        same = json.dumps({"ok": True, "result": [{"update_id": 9, "message": one}]}).encode()
        rig.server.enqueue("getUpdates", *[raw(same)] * 5, hang())
        async with rig.running():
            await rig.polled(2)
            began = time.monotonic()
            await rig.polled(6)

        assert time.monotonic() - began >= 0.02 + 0.04 + 0.08 + 0.1
        assert rig.texts == ["one"]


async def test_ids_that_start_again_lower_are_followed(rig: Rig) -> None:
    async with rig.running():
        rig.server.post("before")
        await rig.confirmed()
        rig.server.updates.restart_ids(5)
        rig.server.post("after")
        rig.server.post("later")
        await rig.takes(3)
        await rig.confirmed()

    assert rig.texts == ["before", "after", "later"]
    assert rig.server.calls[-1][1]["offset"] == 7


async def test_more_than_one_answer_holds_are_taken_in_order(rig: Rig) -> None:
    for number in range(230):
        rig.server.post(str(number))
    async with rig.running():
        await rig.takes(230)
        await rig.confirmed()

    assert rig.texts == [str(number) for number in range(230)]


async def test_a_stop_ends_it_at_once_and_what_was_not_confirmed_comes_again(rig: Rig) -> None:
    rig.gates["7"] = asyncio.Event()
    rig.server.post("one")
    async with rig.running():
        await rig.until(lambda: rig.offered)
    rig.gates["7"].set()
    began = time.monotonic()
    async with rig.running():
        await rig.takes(1)
        await rig.confirmed()
        await rig.until(lambda: rig.server.calls[-1][1].get("timeout") == 30)

    assert len(rig.offered) == 2
    assert time.monotonic() - began < 5


async def test_a_confirmation_that_was_lost_takes_nothing_twice(rig: Rig) -> None:
    rig.server.enqueue(CONFIRM, raw(b"", 502))
    rig.server.post("one")
    async with rig.running():
        await rig.takes(1)
        await rig.confirmed()

    assert rig.texts == ["one"]
    assert len(rig.offered) == 1


async def test_nothing_begins_beside_a_move_that_takes_long() -> None:
    moved = -1_000_000_000_040
    old, new = {"id": -40, "type": "group", "title": "g"}, {"id": moved, "type": "supergroup", "title": "g"}
    person = {"id": 7, "is_bot": False, "first_name": "Ada"}
    when = int(time.time())
    async with open_rig(groups="all") as rig:
        rig.gates["-40"] = asyncio.Event()
        async with rig.running():
            await rig.polled(1)
            move = {"message_id": 5, "date": when, "chat": old, "from": person, "migrate_to_chat_id": moved}
            rig.server.push_raw({"message": move})
            await rig.until(lambda: bool(rig.offered))
            rig.server.push_raw(
                {"message": {"message_id": 6, "date": when, "chat": new, "from": person, "text": "after"}}
            )
            await rig.polled(8)
            early = list(rig.took)
            rig.gates["-40"].set()
            await rig.confirmed()

    assert early == []
    assert [type(inbound).__name__ for inbound in rig.took] == ["InboundMove", "InboundMessage"]
