"""These tests check that slash commands on Discord are on disk before they are answered, and answered in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from channels.base import InboundMessage
from channels.discord.intake import NOT_HERE
from channels.discord.waits import WAITS
from tests.platforms.discord_behaviours import (
    drop_after_effect,
    drop_before_effect,
    failing,
    refusing,
    too_many_requests,
)
from tests.platforms.discord_rig import HERE, QUICK, Rig, address, open_rig
from tests.platforms.discord_server import ADA, ADA_DM, BOB, CALLBACK, COMMANDS, SET_COMMANDS, seconds_of
from tests.platforms.discordapi.payloads import write_channel
from tests.platforms.discordapi.routes import EDIT_ORIGINAL


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig(replace(QUICK, defer_seconds=0.2)) as opened:
        yield opened


async def listed(rig: Rig) -> None:
    """Wait until people can choose the commands."""
    await rig.until(lambda: rig.server.commands.names)


async def test_a_command_is_taken_as_if_it_were_written_and_answered_with_what_was_asked(rig: Rig) -> None:
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new")
        [message] = await rig.takes(1)
        await rig.until(lambda: rig.server.interactions[number].text)

    assert isinstance(message, InboundMessage)
    assert (message.address, message.author.id, message.text) == (HERE, str(ADA), "/new")
    assert message.is_direct
    assert message.message_id == str(number)
    assert message.sent_at == datetime.fromtimestamp(seconds_of(number), UTC)
    assert rig.server.interactions[number].text == "/new"
    assert not rig.server.interactions[number].is_ephemeral


async def test_what_may_stand_behind_a_command_is_asked_for_and_taken_as_if_it_were_written(rig: Rig) -> None:
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("help", {"text": "4 7"})
        await rig.takes(1)
        await rig.until(lambda: rig.server.interactions[number].text)

    options = {command["name"]: command.get("options", []) for command in rig.server.commands.all}
    assert options["new"] == []
    assert options["help"] == [{"name": "text", "type": 3, "description": "what to be helped with", "required": False}]
    assert rig.texts == ["/help 4 7"]
    assert rig.server.interactions[number].text == "/help 4 7"


async def test_a_command_is_answered_only_after_it_is_on_disk(rig: Rig) -> None:
    rig.gates[str(ADA_DM)] = asyncio.Event()
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new")
        await rig.until(lambda: rig.offered)
        await rig.until(lambda: rig.server.interactions[number].is_in_time)
        early = rig.server.interactions[number].text
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: rig.server.interactions[number].text)

    assert not early
    assert rig.server.interactions[number].text == "/new"
    assert WAITS.defer_seconds < 3


async def test_a_command_waits_for_what_came_before_it_and_is_promised_an_answer(rig: Rig) -> None:
    rig.gates[str(ADA_DM)] = asyncio.Event()
    async with rig.running():
        await listed(rig)
        rig.server.post("slow")
        number = rig.server.interact("help")
        await rig.until(lambda: rig.server.interactions[number].is_in_time)
        rig.gates[str(ADA_DM)].set()
        await rig.takes(2)
        await rig.until(lambda: rig.server.interactions[number].text)

    assert rig.texts == ["slow", "/help"]


async def test_in_a_server_only_who_asked_sees_the_answer_and_the_place_is_known(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    thread = rig.server.open_thread(channel)
    async with rig.running():
        await listed(rig)
        numbers = [rig.server.interact("new", channel=place) for place in (channel, thread)]
        took = await rig.takes(2)
        await rig.until(lambda: all(rig.server.interactions[number].text for number in numbers))

    assert [inbound.address for inbound in took] == [address(channel), address(channel, thread)]
    assert not any(inbound.is_direct for inbound in took if isinstance(inbound, InboundMessage))
    assert all(rig.server.interactions[number].is_ephemeral for number in numbers)


async def test_where_servers_are_off_a_command_there_is_answered_and_not_taken() -> None:
    async with open_rig(guilds="off") as rig:
        channel = rig.server.open_channel(rig.server.open_guild())
        async with rig.running():
            await listed(rig)
            number = rig.server.interact("new", channel=channel)
            await rig.until(lambda: rig.server.interactions[number].text)

        assert rig.server.interactions[number].text == NOT_HERE
        assert rig.took == []


def among_others(rig: Rig, person: int) -> dict[str, Any]:
    """Return the private channel of a person as the event of a command tells it."""
    return write_channel(rig.server.places, rig.server.places.channels[rig.server.open_dm(person)])


@pytest.mark.parametrize("is_group", [False, True])
async def test_where_other_people_are_among_themselves_a_command_is_answered_and_not_taken(
    rig: Rig, *, is_group: bool
) -> None:
    there = among_others(rig, BOB)
    if is_group:
        del there["last_message_id"]
        there |= {"type": 3, "name": "we", "icon": None, "owner_id": str(BOB)}
    more = {"context": 2, "authorizing_integration_owners": {"1": str(ADA)}}
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new", channel=rig.server.open_dm(BOB), more=more | {"channel": there})
        await rig.until(lambda: rig.server.interactions[number].text)
        rig.server.post("here")
        await rig.takes(1)

    assert rig.server.interactions[number].text == NOT_HERE
    assert rig.server.interactions[number].is_ephemeral
    assert rig.texts == ["here"]
    assert rig.channel.health.counts["elsewhere"] == 1


@pytest.mark.parametrize(("person", "is_direct"), [(ADA, True), (BOB, False)])
async def test_where_discord_does_not_say_whose_channel_it_is_its_people_do(
    rig: Rig, person: int, *, is_direct: bool
) -> None:
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new", more={"context": None, "channel": among_others(rig, person)})
        await rig.until(lambda: rig.server.interactions[number].text)

    assert rig.server.interactions[number].text == ("/new" if is_direct else NOT_HERE)
    assert len(rig.took) == is_direct


async def test_a_command_of_nobody_is_passed_over_and_ends_nothing(rig: Rig) -> None:
    async with rig.running():
        await listed(rig)
        rig.server.interact("new", more={"user": None, "context": None})
        await rig.notices(lambda: rig.channel.health.counts["unparsable"])
        await rig.until(lambda: rig.called(CALLBACK))
        rig.server.post("after")
        await rig.takes(1)

    assert rig.texts == ["after"]
    assert len(rig.server.gateway.identified) == 1


async def test_a_command_that_is_not_accepted_is_offered_again_and_answered_then(rig: Rig) -> None:
    rig.refusals.extend(["The disk is full."] * 2)
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new")
        await rig.takes(1)
        await rig.until(lambda: rig.server.interactions[number].text)

    assert rig.server.interactions[number].text == "/new"


@pytest.mark.parametrize("fault", [failing(500), refusing(404, 10062, "Unknown interaction")])
async def test_an_answer_that_fails_is_no_fault(rig: Rig, fault: object) -> None:
    rig.server.enqueue(CALLBACK, fault)  # type: ignore[arg-type]
    async with rig.running():
        await listed(rig)
        rig.server.interact("new")
        await rig.takes(1)
        await rig.until(lambda: rig.called(CALLBACK))
        rig.server.post("after")
        await rig.takes(2)

    assert rig.texts == ["/new", "after"]


async def test_other_interactions_are_passed_over(rig: Rig) -> None:
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new")
        await rig.takes(1)
        told = {"id": str(number + 1), "application_id": "1", "type": 99, "token": "t", "version": 1}
        told |= {"attachment_size_limit": 0, "user": {"id": "5", "username": "eve", "discriminator": "0"}}
        told["user"] |= {"avatar": None}  # type: ignore[operator]
        rig.server.gateway.push_raw({"op": 0, "t": "INTERACTION_CREATE", "d": told})
        await rig.notices(lambda: rig.channel.health.counts["interaction"])

    assert rig.texts == ["/new"]


async def test_commands_that_cannot_be_listed_are_no_fault(rig: Rig) -> None:
    rig.server.enqueue(COMMANDS, failing(), refusing(403, 50001, "Missing Access"))
    async with rig.running():
        rig.server.post("one")
        await rig.takes(1)
        await rig.until(lambda: rig.called(COMMANDS) == 2)

    assert rig.called(SET_COMMANDS) == 0


async def test_a_promised_answer_is_given_though_discord_cannot_be_had_at_first(rig: Rig) -> None:
    rig.gates[str(ADA_DM)] = asyncio.Event()
    rig.server.enqueue(EDIT_ORIGINAL, failing(), too_many_requests(0.05, is_global=True), drop_before_effect())
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new")
        await rig.until(lambda: rig.called(CALLBACK))
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: rig.server.interactions[number].text)

    assert rig.server.interactions[number].text == "/new"


async def test_a_promise_whose_receipt_was_lost_is_kept(rig: Rig) -> None:
    rig.gates[str(ADA_DM)] = asyncio.Event()
    rig.server.enqueue(CALLBACK, drop_after_effect())
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new")
        await rig.until(lambda: rig.called(CALLBACK))
        rig.gates[str(ADA_DM)].set()
        await rig.until(lambda: rig.server.interactions[number].text)

    assert rig.server.interactions[number].text == "/new"


async def test_an_answer_is_tried_no_longer_than_it_can_be_given() -> None:
    async with open_rig(replace(QUICK, defer_seconds=0.05, answer_seconds=0.2)) as rig:
        rig.gates[str(ADA_DM)] = asyncio.Event()
        rig.server.enqueue(EDIT_ORIGINAL, too_many_requests(600, is_global=True))
        with structlog.testing.capture_logs() as events:
            async with rig.running():
                await listed(rig)
                rig.server.interact("new")
                await rig.until(lambda: rig.called(CALLBACK))
                rig.gates[str(ADA_DM)].set()
                await rig.notices(lambda: any(event["event"] == "command_not_answered" for event in events))

        assert rig.called(EDIT_ORIGINAL) == 1
    assert WAITS.answer_seconds + WAITS.defer_seconds < 900


async def test_who_brought_the_app_to_a_server_where_the_bot_is_not_is_told_so(rig: Rig) -> None:
    channel = rig.server.open_channel(rig.server.open_guild())
    more = {"authorizing_integration_owners": {"1": str(ADA)}}
    async with rig.running():
        await listed(rig)
        number = rig.server.interact("new", channel=channel, more=more)
        await rig.until(lambda: rig.server.interactions[number].text)

    assert rig.server.interactions[number].text == NOT_HERE
    assert rig.took == []
