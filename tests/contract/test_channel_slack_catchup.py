"""These tests check that the Slack channel reads missed messages from histories, once, and before live ones."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from channels.slack.budget import TIER_3
from channels.slack.histories import SPARE
from tests.platforms.slack_behaviours import failing, refusing, slow, too_many_requests
from tests.platforms.slack_rig import HERE, Rig, known, open_rig, thread_of
from tests.platforms.slack_server import ADA, BOB, BOT, DM, GENERAL

HISTORY, REPLIES = "conversations.history", "conversations.replies"


def ago(seconds: float) -> float:
    """Return when that was, in Unix seconds."""
    return time.time() - seconds


def missed(rig: Rig, text: str, seconds: float, channel: str = DM, thread: str | None = None) -> str:
    """Let Ada write something that no event tells of."""
    return rig.server.post(text, at=ago(seconds), channel=channel, thread=thread, unheard=True)


async def test_what_was_said_in_direct_messages_is_taken_once_and_in_order() -> None:
    async with open_rig() as rig:
        last = missed(rig, "before", 100)
        missed(rig, "one", 60)
        missed(rig, "two", 50)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.takes(3)
            rig.server.post("live")
            await rig.acked(1)

            assert rig.texts == ["before", "one", "two", "live"]
            assert rig.called(HISTORY) == 1


async def test_nobody_known_is_nothing_asked() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.post("hello")
        await rig.acked(1)

        assert (rig.called(HISTORY), rig.called(REPLIES)) == (0, 0)


async def test_what_comes_live_in_a_place_waits_until_it_was_asked_what_was_missed_there() -> None:
    async with open_rig() as rig:
        gate = asyncio.Event()
        rig.server.enqueue(HISTORY, slow(gate))
        last = missed(rig, "before", 100)
        missed(rig, "missed", 60)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.until(lambda: rig.called(HISTORY))
            rig.server.post("live")
            rig.server.post("elsewhere", author=BOB)
            await rig.acked(1)

            assert rig.texts == ["elsewhere"]

            gate.set()
            await rig.acked(2)

            assert rig.texts == ["elsewhere", "before", "missed", "live"]


async def test_everything_waits_until_it_can_be_told_where_to_ask() -> None:
    async with open_rig() as rig:
        last = missed(rig, "before", 100)
        missed(rig, "missed", 60)
        rig.known, rig.blind = [known(HERE, last)], 3
        async with rig.running():
            await rig.until(lambda: rig.server.lines.opened)
            rig.server.post("live")
            await rig.acked(1)

            assert rig.texts == ["before", "missed", "live"]
            assert rig.looks == 4


async def test_threads_are_asked_for_and_stay_open_without_a_mention() -> None:
    async with open_rig() as rig:
        root = missed(rig, f"<@{BOT}> hello", 100, GENERAL)
        missed(rig, "and then?", 60, GENERAL, root)
        rig.known = [known(thread_of(root), root)]
        async with rig.running():
            await rig.takes(2)
            rig.server.post("and after that?", channel=GENERAL, thread=root)
            await rig.acked(1)

            assert rig.texts == ["hello", "and then?", "and after that?"]
            assert {message.address for message in rig.took} == {thread_of(root)}


async def test_mentions_outside_of_threads_are_found_in_known_channels_with_what_followed_them() -> None:
    async with open_rig() as rig:
        old = missed(rig, f"<@{BOT}> hello", 1000, GENERAL)
        rig.known = [known(thread_of(old), old)]
        missed(rig, "lunch?", 70, GENERAL)
        new = missed(rig, f"<@{BOT}> and this?", 60, GENERAL)
        missed(rig, "I mean that", 50, GENERAL, new)
        async with rig.running():
            await rig.takes(3)
            rig.server.post("still there?", channel=GENERAL, thread=new)
            await rig.acked(1)

            assert rig.texts == ["hello", "and this?", "I mean that", "still there?"]
            assert [message.address.thread for message in rig.took] == [old, new, new, new]


async def test_a_thread_that_began_in_direct_messages_meanwhile_is_found() -> None:
    async with open_rig() as rig:
        last = missed(rig, "before", 100)
        rig.known = [known(HERE, last)]
        root = missed(rig, "a question", 60)
        missed(rig, "in its thread", 50, DM, root)
        async with rig.running():
            await rig.takes(3)

            assert [message.address for message in rig.took] == [HERE, HERE, thread_of(root, DM)]


async def test_bots_and_itself_are_passed_over() -> None:
    async with open_rig() as rig:
        last = missed(rig, "before", 100)
        await rig.channel.send(HERE, rig.channel.dialect.render("an answer"), "")
        rig.server.post("from an app", author=ADA, more={"bot_id": "B1"}, unheard=True)
        missed(rig, "missed", 0)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.takes(2)

            assert rig.texts == ["before", "missed"]


async def test_no_more_than_twenty_messages_of_a_place_are_taken_the_newest_and_the_others_counted() -> None:
    async with open_rig() as rig:
        last = missed(rig, "before", 1000)
        for number in range(30):
            missed(rig, f"{number}", 900 - number)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.takes(20)

            assert rig.texts == [f"{number}" for number in range(10, 30)]
            assert rig.channel.health.counts["missed"] == 10


async def test_what_is_left_out_and_was_taken_before_is_no_loss() -> None:
    async with open_rig() as rig:
        last = missed(rig, "before", 1000)
        for number in range(20):
            missed(rig, f"{number}", 999 - number)
        for number in range(350):
            missed(rig, f"chatter {number}", 700 - number / 1000, GENERAL)
        newest = missed(rig, f"<@{BOT}> before", 690, GENERAL)
        missed(rig, f"<@{BOT}> the newest", 10, GENERAL)
        rig.known = [known(HERE, last), known(thread_of(newest), newest)]
        async with rig.running():
            await rig.takes(22)

            assert sorted(rig.texts) == sorted([*map(str, range(20)), "before", "the newest"])
            assert rig.called(HISTORY) == 4
            assert not rig.channel.health.counts


async def test_the_newest_replies_of_a_long_thread_are_taken() -> None:
    async with open_rig() as rig:
        root = missed(rig, f"<@{BOT}> before", 1000, GENERAL)
        for number in range(420):
            missed(rig, f"{number}", 900 - number, GENERAL, root)
        rig.known = [known(thread_of(root), root)]
        async with rig.running():
            await rig.takes(20)

            assert [text for text in rig.texts if text != "before"] == [f"{number}" for number in range(400, 420)]
            assert rig.channel.health.counts == {"missed": 400}


async def test_no_more_than_three_requests_are_made_for_a_place() -> None:
    async with open_rig() as rig:
        last = missed(rig, f"<@{BOT}> before", 1000, GENERAL)
        for number in range(350):
            missed(rig, f"{number}", 900 - number, GENERAL)
        missed(rig, f"<@{BOT}> the newest", 10, GENERAL)
        rig.known = [known(thread_of(last), last)]
        async with rig.running():
            await rig.until(lambda: "the newest" in rig.texts)

            assert rig.called(HISTORY) == 3
            assert rig.channel.health.counts["missed_pages"] == 1


async def test_slack_is_left_alone_as_long_as_it_wants_and_asked_again_after_a_fault() -> None:
    async with open_rig() as rig:
        rig.server.enqueue(HISTORY, too_many_requests(1), failing(), refusing("internal_error"))
        last = missed(rig, "before", 100)
        missed(rig, "missed", 60)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.takes(2)

            assert rig.called(HISTORY) == 4


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "missing_scope"])
async def test_a_place_that_slack_does_not_tell_of_is_counted_and_heard_live(error: str) -> None:
    async with open_rig() as rig:
        rig.server.enqueue(HISTORY, refusing(error))
        rig.known = [known(HERE, missed(rig, "before", 100))]
        async with rig.running():
            await rig.until(lambda: rig.channel.health.counts["not_caught_up"])
            rig.server.post("live")
            await rig.acked(1)

            assert rig.texts == ["live"]


async def test_channels_that_are_not_read_are_not_asked_for() -> None:
    async with open_rig(channels="off") as rig:
        root = missed(rig, f"<@{BOT}> hello", 100, GENERAL)
        rig.known = [known(thread_of(root), root), known(HERE, missed(rig, "before", 50))]
        async with rig.running():
            await rig.takes(1)

            assert rig.texts == ["before"]
            assert (rig.called(HISTORY), rig.called(REPLIES)) == (1, 0)


async def test_what_was_said_between_a_broken_connection_and_the_next_is_taken_once() -> None:
    async with open_rig() as rig, rig.running():
        rig.server.deliveries.ack_seconds, rig.server.deliveries.retry_seconds = 0.2, ()
        await rig.opened()
        rig.server.post("one")
        root = rig.server.mention("in a channel")
        await rig.acked(3)
        rig.server.refuse_connections = True
        rig.server.post("two")
        rig.server.post("and then?", channel=GENERAL, thread=root)
        rig.server.mention("another")
        await rig.until(lambda: len(rig.server.given_up) == 4)
        rig.server.refuse_connections = False
        await rig.takes(5)
        rig.server.post("three")
        await rig.acked(4)

        assert sorted(rig.texts) == ["and then?", "another", "in a channel", "one", "three", "two"]


async def test_what_could_not_be_asked_for_is_asked_for_after_the_next_gap() -> None:
    async with open_rig() as rig:
        rig.server.enqueue(HISTORY, *[failing()] * 11)
        last = missed(rig, "before", 100)
        missed(rig, "missed", 60)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.until(lambda: rig.channel.health.counts["not_caught_up"])
            rig.server.post("live")
            await rig.takes(1)
            rig.server.drop()
            await rig.until(lambda: "missed" in rig.texts)

            assert rig.texts == ["live", "before", "missed"]


async def test_a_live_reply_in_a_direct_messages_thread_waits_for_the_root_that_was_missed() -> None:
    async with open_rig() as rig:
        gate = asyncio.Event()
        rig.server.enqueue(HISTORY, slow(gate))
        last = missed(rig, "before", 100)
        root = missed(rig, "root", 60)
        missed(rig, "reply", 50, DM, root)
        rig.known = [known(HERE, last)]
        async with rig.running():
            await rig.until(lambda: rig.called(HISTORY))
            rig.server.post("live", thread=root)
            rig.server.post("elsewhere", author=BOB)
            await rig.acked(1)
            gate.set()
            await rig.takes(5)

            assert rig.texts == ["elsewhere", "before", "root", "reply", "live"]


async def test_whoever_writes_does_not_wait_until_all_others_were_asked_for_within_slacks_rates() -> None:
    async with open_rig() as rig:
        people = [f"U0FAR{number:05}" for number in range(TIER_3.calls + 10)]
        for person in people:
            place = replace(HERE, chat=rig.server.dm_of(person))
            rig.known.append(known(place, rig.server.post("before", author=person, at=ago(100), unheard=True)))
        async with rig.running():
            await rig.takes(TIER_3.calls - SPARE)
            rig.server.post("live", author=people[-1])
            await rig.acked(1)

            assert rig.texts[-2:] == ["before", "live"]
            assert rig.called(HISTORY) == TIER_3.calls - SPARE + 1
