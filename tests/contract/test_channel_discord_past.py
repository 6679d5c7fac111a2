"""These tests check that the Discord channel fetches what was missed, since Discord does not redeliver."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from channels.base import InboundMessage
from channels.discord.offers import TRIES_AGAIN
from channels.errors import RateLimited
from channels.markup.rich import plain
from tests.platforms.discord_behaviours import (
    drop_before_effect,
    elsewhere,
    failing,
    html,
    malformed,
    raw,
    slow,
    too_many_requests,
)
from tests.platforms.discord_rig import HERE, Rig, address, open_rig
from tests.platforms.discord_server import ADA, ADA_DM, BOB, BOB_DM, BOT, CHANNEL, HISTORY, SEND, Behaviour, dm_of
from tests.platforms.discordapi.payloads import write_guild

AGO = 3_600
REFUSED = "The disk is full."


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


def post(rig: Rig, *texts: str, author: int = ADA, channel: int | None = None) -> list[int]:
    """Let a person write an hour ago, a second apart."""
    place = rig.server.open_dm(author) if channel is None else channel
    began = time.time() - AGO
    return [rig.server.post(text, author=author, channel=place, at=began + n) for n, text in enumerate(texts)]


async def test_what_was_written_while_the_daemon_was_down_is_taken_in_order(rig: Rig) -> None:
    [known, *_] = post(rig, "known", *"abcdefgh")
    rig.know(HERE, known)
    async with rig.running():
        await rig.until(lambda: len(set(rig.texts)) == 9)

    assert rig.texts == ["known", *"abcdefgh"]
    assert rig.channel.health.counts["caught up"] == 9


async def test_no_more_than_a_few_seconds_before_the_last_are_asked_for_again(rig: Rig) -> None:
    numbers = post(rig, *(str(number) for number in range(30)))
    rig.know(HERE, numbers[20])
    async with rig.running():
        await rig.until(lambda: "29" in rig.texts)

    assert rig.texts == [str(number) for number in range(15, 30)]


async def test_more_than_a_page_is_taken_in_order(rig: Rig) -> None:
    [known, *_] = post(rig, "known", *(str(number) for number in range(250)))
    rig.know(HERE, known)
    async with rig.running():
        await rig.until(lambda: "249" in rig.texts)

    assert rig.texts == ["known", *(str(number) for number in range(250))]
    assert rig.called(HISTORY) == 3


async def test_what_is_written_now_waits_until_what_was_missed_is_taken(rig: Rig) -> None:
    [known, _] = post(rig, "known", "missed")
    rig.know(HERE, known)
    gate = asyncio.Event()
    rig.server.enqueue(HISTORY, slow(gate))
    async with rig.running():
        await rig.until(lambda: rig.called(HISTORY))
        rig.server.post("now")
        rig.server.post("elsewhere", author=BOB)
        await rig.takes(1)
        early = list(rig.texts)
        gate.set()
        await rig.until(lambda: "now" in rig.texts)

    assert early == ["elsewhere"]
    assert list(dict.fromkeys(rig.texts)) == ["elsewhere", "known", "missed", "now"]


async def test_nothing_is_taken_before_it_is_known_what_was_missed(rig: Rig) -> None:
    [known, _] = post(rig, "known", "missed")
    rig.know(HERE, known)
    rig.unknown = 3
    async with rig.running():
        rig.server.post("now")
        rig.server.post("elsewhere", author=BOB)
        await rig.until(lambda: {"now", "elsewhere"} <= set(rig.texts))

    assert rig.asked == 4
    assert rig.texts.index("missed") < rig.texts.index("now")


async def test_the_place_heard_last_is_caught_up_first_and_few_at_once(rig: Rig) -> None:
    people = list(range(1_000, 1_010))
    gate = asyncio.Event()
    rig.server.enqueue(HISTORY, *[slow(gate)] * 10)
    for person in people:
        [known] = post(rig, "known", author=person)
        rig.know(address(dm_of(person)), known)
    async with rig.running():
        await rig.until(lambda: rig.called(HISTORY) == 4)
        first = [called.params["channel_id"] for called in rig.server.calls if called.name == HISTORY]
        gate.set()
        await rig.takes(10)

    assert first == [str(dm_of(person)) for person in people[:4]]


async def test_a_server_is_caught_up_by_the_same_rules(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    thread = rig.server.open_thread(channel)
    [known, *_] = post(rig, "known", "among us", channel=channel)
    rig.server.post("to you", channel=channel, mention=True)
    rig.server.post("in the thread", channel=thread, mention=True)
    rig.know(address(channel), known)
    rig.know(address(channel, thread), known)
    async with rig.running():
        took = await rig.takes(2)

    assert {(inbound.address, inbound.text) for inbound in took if isinstance(inbound, InboundMessage)} == {
        (address(channel), "to you"),
        (address(channel, thread), "in the thread"),
    }
    assert rig.channel.health.counts["unaddressed"] == 2


async def test_what_names_the_bots_role_waits_until_it_is_known_which_that_is(rig: Rig) -> None:
    guild = rig.server.open_guild()
    channel = rig.server.open_channel(guild)
    [known] = post(rig, "known", channel=channel)
    rig.server.post("<@&77> hello", channel=channel, more={"mention_roles": ["77"]})
    rig.know(address(channel), known)
    told = write_guild(rig.server.places, rig.server.places.guilds[guild])
    told["roles"] = [*told["roles"], told["roles"][0] | {"id": "77", "name": "agentd", "tags": {"bot_id": str(BOT)}}]
    del rig.server.places.guilds[guild]
    async with rig.running():
        await rig.until(lambda: rig.called(HISTORY))
        await rig.until(lambda: rig.called(CHANNEL))
        rig.server.gateway.push_raw({"op": 0, "t": "GUILD_CREATE", "d": told})
        await rig.takes(1)

    assert rig.texts == ["hello"]


async def test_who_reads_along_is_known_of_what_is_fetched_too(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    [known] = post(rig, "known")
    there = rig.server.post("to you", channel=channel, mention=True)
    rig.know(HERE, known)
    rig.know(address(channel), there)
    async with rig.running():
        took = await rig.takes(2)

    assert {inbound.address.chat: inbound.is_direct for inbound in took if isinstance(inbound, InboundMessage)} == {
        str(ADA_DM): True,
        str(channel): False,
    }


async def test_a_place_that_is_shut_or_gone_is_passed_over_and_counted(rig: Rig) -> None:
    guild = rig.server.open_guild()
    shut, gone = rig.server.open_channel(guild), rig.server.open_channel(guild)
    for channel in (shut, gone):
        rig.know(address(channel), rig.server.post("known", channel=channel, mention=True))
    [known] = post(rig, "in private")
    rig.know(HERE, known)
    rig.server.restrict(shut, "none")
    rig.server.close_channel(gone)
    async with rig.running():
        await rig.takes(1)
        await rig.notices(lambda: rig.channel.health.counts["place shut"] == 2)
        rig.server.post("now")
        await rig.takes(2)

    assert rig.texts == ["in private", "now"]


async def test_a_place_whose_name_is_none_is_passed_over(rig: Rig) -> None:
    [known] = post(rig, "known")
    rig.know(address(0), known)
    rig.known[0] = type(rig.known[0])(type(HERE)("discord", HERE.account, "no number"), rig.known[0].last_sent_at)
    rig.know(HERE, known)
    async with rig.running():
        await rig.takes(1)

    assert rig.texts == ["known"]


@pytest.mark.parametrize("route", [HISTORY, CHANNEL])
async def test_what_was_missed_is_fetched_though_discord_cannot_be_had_at_first(rig: Rig, route: str) -> None:
    [known, _] = post(rig, "known", "missed")
    rig.know(HERE, known)
    rig.server.enqueue(route, drop_before_effect(), failing(), malformed(), too_many_requests(0.05), failing(503))
    async with rig.running():
        rig.server.post("now")
        await rig.until(lambda: "now" in rig.texts)

    assert list(dict.fromkeys(rig.texts)) == ["known", "missed", "now"]


@pytest.mark.parametrize("answer", [html(200), raw(b"{}"), raw(b"")])
async def test_only_a_page_says_that_nothing_was_missed(rig: Rig, answer: Behaviour) -> None:
    [known, _] = post(rig, "known", "missed")
    rig.know(HERE, known)
    rig.server.enqueue(HISTORY, answer)
    async with rig.running():
        rig.server.post("now")
        await rig.until(lambda: "now" in rig.texts)

    assert list(dict.fromkeys(rig.texts)) == ["known", "missed", "now"]


@pytest.mark.parametrize("route", [HISTORY, CHANNEL])
async def test_a_refusal_that_is_not_discords_shuts_no_place(rig: Rig, route: str) -> None:
    [known, _] = post(rig, "known", "missed")
    rig.know(HERE, known)
    rig.server.enqueue(route, html(403), html(404), html(401), elsewhere(403), malformed(403))
    async with rig.running():
        await rig.until(lambda: "missed" in rig.texts)

    assert rig.texts == ["known", "missed"]
    assert rig.channel.health.counts["place shut"] == 0


async def test_a_limit_on_all_calls_delays_what_is_fetched_and_ends_nothing(rig: Rig) -> None:
    [known, _] = post(rig, "known", "missed")
    rig.know(HERE, known)
    gate = asyncio.Event()
    rig.server.enqueue(CHANNEL, slow(gate))
    rig.server.enqueue(SEND, too_many_requests(0.2, is_global=True))
    async with rig.running():
        await rig.until(lambda: rig.called(CHANNEL))
        with pytest.raises(RateLimited):
            await rig.channel.send(HERE, plain("meanwhile"), "n")
        gate.set()
        await rig.until(lambda: "missed" in rig.texts)

    assert rig.texts == ["known", "missed"]


async def test_a_session_that_is_void_amid_catching_up_loses_nothing(rig: Rig) -> None:
    [known, *_] = post(rig, "known", *"abc")
    rig.know(HERE, known)
    rig.gates[str(ADA_DM)] = asyncio.Event()
    async with rig.running():
        await rig.until(lambda: rig.offered)
        rig.server.post("now")
        rig.server.gateway.invalidate(can_resume=False)
        rig.server.post("between")
        await rig.sessions(2)
        rig.server.post("after")
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: "after" in rig.texts)

    assert list(dict.fromkeys(rig.texts)) == ["known", *"abc", "now", "between", "after"]


def page(rig: Rig, *numbers: int, broken: int) -> Behaviour:
    """Give these messages, the newest first, one of which makes no sense."""
    messages = [rig.server.history.as_message(rig.server.messages[number]) for number in sorted(numbers, reverse=True)]
    return raw(
        json.dumps(
            [each | ({"poll": {"question": 5}} if each["id"] == str(broken) else {}) for each in messages]
        ).encode()
    )


async def test_a_message_that_cannot_be_read_is_passed_over_and_no_other(rig: Rig) -> None:
    numbers = post(rig, "known", "broken", "fine")
    rig.know(HERE, numbers[0])
    rig.server.enqueue(HISTORY, page(rig, *numbers, broken=numbers[1]))
    async with rig.running():
        await rig.until(lambda: "fine" in rig.texts)

    assert rig.texts == ["known", "fine"]
    assert rig.channel.health.counts["unparsable"] == 1


async def test_a_message_that_ended_a_session_does_not_end_the_next(rig: Rig) -> None:
    [known] = post(rig, "known")
    rig.know(HERE, known)
    async with rig.running():
        await rig.takes(1)
        number = rig.server.post("broken")
        await rig.takes(2)
        told = rig.server.history.as_event(rig.server.messages[number], reads_all=True)
        rig.server.enqueue(HISTORY, page(rig, known, number, broken=number))
        rig.server.gateway.push_raw({"op": 0, "t": "MESSAGE_CREATE", "d": told | {"poll": {"question": 5}}})
        await rig.sessions(2)
        rig.server.post("after")
        await rig.until(lambda: "after" in rig.texts)

    assert len(rig.server.gateway.identified) == 2
    assert rig.channel.health.counts["unparsable"] == 2


async def test_what_is_not_accepted_is_offered_again_in_its_place_and_its_sender_told_once(rig: Rig) -> None:
    rig.refusals.extend([REFUSED] * 3)
    async with rig.running():
        rig.server.post("one")
        rig.server.post("two")
        await rig.takes(2)
        await rig.until(lambda: len(rig.server.screen()) == 1)

    assert rig.texts == ["one", "two"]
    assert [shown.text for shown in rig.server.screen()] == [f"{REFUSED} {TRIES_AGAIN}"]


async def test_a_second_incident_is_told_again(rig: Rig) -> None:
    async with rig.running():
        for number in (1, 2):
            rig.refusals.extend([REFUSED] * 2)
            rig.server.post("one")
            await rig.takes(number)

    assert len(rig.server.screen()) == 2


async def test_a_chat_whose_messages_are_not_accepted_holds_up_no_other(rig: Rig) -> None:
    rig.refused.add(str(ADA_DM))
    async with rig.running():
        rig.server.post("one")
        rig.server.post("two", author=BOB)
        await rig.takes(1)
        await rig.notices(lambda: rig.channel.health.fault)
        fault = rig.channel.health.fault
        rig.refused.clear()
        await rig.takes(2)

    assert rig.texts == ["two", "one"]
    assert fault == "what comes in cannot be kept: not now"


async def test_a_chat_that_takes_long_holds_up_no_other_and_keeps_its_own_order(rig: Rig) -> None:
    rig.gates[str(ADA_DM)] = asyncio.Event()
    async with rig.running():
        rig.server.post("slow")
        await rig.until(lambda: rig.offered)
        rig.server.post("after")
        rig.server.post("a", author=BOB)
        await rig.takes(1)
        early = list(rig.texts)
        rig.gates[str(ADA_DM)].set()
        await rig.takes(3)

    assert early == ["a"]
    assert rig.texts == ["a", "slow", "after"]


async def test_a_stop_ends_it_at_once(rig: Rig) -> None:
    rig.refused.add(str(ADA_DM))
    began = time.monotonic()
    async with rig.running():
        rig.server.post("one")
        rig.server.post("two", author=BOB, channel=BOB_DM if BOB_DM in rig.server.places.channels else ADA_DM)
        await rig.until(lambda: rig.offered)

    assert time.monotonic() - began < 5
