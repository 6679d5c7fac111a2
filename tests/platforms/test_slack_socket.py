"""These tests check Socket Mode of the loopback Slack: it redelivers what is not acked, as the real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import pytest

from tests.platforms.slack_behaviours import drop_before_effect, failing
from tests.platforms.slack_clients import RawClient, open_bolt, open_raw, until
from tests.platforms.slack_server import OPEN, SOCKET


@pytest.fixture
async def raw() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        yield client


async def test_the_framework_connects_hears_and_acks_what_people_write_and_what_it_writes_itself() -> None:
    async with open_bolt() as bolt:
        hello = bolt.server.post("hello")
        root = bolt.server.mention("are you there?")
        await bolt.until(lambda: len(bolt.server.acked) == 3)
        await bolt.web.chat_postMessage(channel=bolt.heard[0]["channel"], text="hi")
        await bolt.until(lambda: len(bolt.server.acked) == 4)

    assert sorted(event["type"] for event in bolt.heard) == ["app_mention", "message", "message"]
    assert sorted(event["ts"] for event in bolt.heard) == [hello, root, root]
    assert bolt.server.acked[3].event["bot_id"] == "B0BOT00001"
    assert bolt.server.unacked == []
    assert len({delivery.event_id for delivery in bolt.server.acked}) == 4


async def test_the_framework_comes_back_after_a_break_a_goodbye_and_a_network_that_was_gone() -> None:
    async with open_bolt() as bolt:
        bolt.server.enqueue(OPEN, failing(), drop_before_effect())
        bolt.server.enqueue(SOCKET, drop_before_effect())
        bolt.server.drop()
        await bolt.until(lambda: bolt.server.lines.opened >= 2)
        opened = bolt.server.lines.opened
        bolt.server.disconnect("refresh_requested")
        await bolt.until(lambda: bolt.server.lines.opened > opened)
        bolt.server.refuse_connections = True
        calls = len(bolt.server.calls)
        await bolt.until(lambda: not bolt.server.lines.open)
        bolt.server.refuse_connections = False
        await bolt.until(lambda: bolt.server.lines.open)
        bolt.server.post("still there?")
        await bolt.until(lambda: bolt.heard)

    assert [name for name, _ in bolt.server.calls[calls : calls + 2]] == [OPEN, SOCKET]


async def test_the_framework_notices_a_line_that_has_gone_deaf_and_answers_pings_on_one_that_has_not() -> None:
    async with open_bolt() as bolt:
        (line,) = bolt.server.lines.open
        bolt.server.lines.ping_seconds = 0.01
        bolt.server.deafen()
        await bolt.until(lambda: bolt.server.lines.open not in ([], [line]))
        newer = bolt.server.lines.open[-1]
        while not newer.pongs:
            newer.heard.clear()
            await newer.heard.wait()

    assert newer.pings[0].startswith(b"sdk-ping-pong:")
    assert newer.pongs[0] == f"Ping from applink-{newer.number}".encode()


async def test_what_is_not_acked_comes_again_three_times_as_the_same_event_in_new_envelopes(raw: RawClient) -> None:
    raw.server.deliveries.ack_seconds = 0.05
    raw.server.deliveries.retry_seconds = (0, 0.02, 0.03)
    async with raw.line() as line:
        raw.server.post("hello")
        envelopes = [await line.hear() for _ in range(4)]
        await until(raw.server, lambda: raw.server.given_up)
        await line.ack(envelopes[3])
        await until(raw.server, lambda: raw.server.late_acks)

    assert [(one["retry_attempt"], one["retry_reason"]) for one in envelopes] == [
        (0, ""),
        *((attempt, "timeout") for attempt in (1, 2, 3)),
    ]
    assert len({one["envelope_id"] for one in envelopes}) == 4
    assert all(one["payload"] == other["payload"] for one, other in pairwise(envelopes))
    assert (raw.server.unacked, raw.server.acked) == ([], [])


async def test_an_ack_counts_on_any_line_once_and_only_while_its_envelope_is_waited_for(raw: RawClient) -> None:
    async with raw.line() as first, raw.line() as second:
        raw.server.deliveries.ack_seconds = 0.01
        raw.server.deliveries.retry_seconds = (0.05,)
        raw.server.post("hello")
        raw.server.deliveries.ack_seconds = 10
        (delivery,) = raw.server.unacked
        envelope = await first.hear()
        await until(raw.server, lambda: delivery.retries)
        await first.ack(envelope)
        again = await second.hear()
        await until(raw.server, lambda: raw.server.late_acks)
        await first.ack(again)
        await until(raw.server, lambda: raw.server.acked)
        await second.ack(again)
        await second.ack({"envelope_id": "unheard"})
        await second.socket.send_str("what?")
        await until(raw.server, lambda: len(raw.server.refusals) == 3)

    assert (first.hello["num_connections"], second.hello["num_connections"]) == (1, 2)
    assert again["retry_reason"] == "timeout"
    assert raw.server.refusals == [
        f"second ack of an envelope of {envelope['payload']['event_id']}",
        "ack of an unknown envelope unheard",
        "socket: no ack: what?",
    ]


async def test_what_is_written_while_nobody_is_connected_comes_with_the_next_retry_or_never(raw: RawClient) -> None:
    raw.server.deliveries.retry_seconds = (0,)
    raw.server.post("lost")
    await until(raw.server, lambda: raw.server.given_up)
    raw.server.deliveries.retry_seconds = (0, *[0.05] * 200)
    raw.server.post("late")
    async with raw.line() as line:
        envelope = await line.hear()
        await line.ack(envelope)
        await until(raw.server, lambda: raw.server.acked)

    assert envelope["payload"]["event"]["text"] == "late"
    assert envelope["retry_attempt"] >= 2
    assert envelope["retry_reason"] == "connection_failed"
    assert (await raw.call("conversations.history", channel="D0ADA00001"))["messages"][1]["text"] == "lost"


async def test_a_line_that_is_asked_to_leave_is_used_until_it_closes(raw: RawClient) -> None:
    async with raw.line() as line:
        raw.server.disconnect("warning")
        raw.server.post("hello")
        leave, envelope = await line.hear(), await line.hear()
        await line.ack(envelope)
        await until(raw.server, lambda: raw.server.acked)
        raw.server.lines.open[0].end()
        end = await line.socket.receive(timeout=10)

    assert (leave["type"], leave["reason"], end.type) == ("disconnect", "warning", aiohttp.WSMsgType.CLOSE)
    assert len(raw.server.acked) == 1


async def test_a_ticket_opens_one_line_and_an_eleventh_line_is_told_to_go(raw: RawClient) -> None:
    address = await raw.address()
    async with raw.session.ws_connect(address):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await raw.session.ws_connect(address)
        sockets = [await raw.session.ws_connect(await raw.address()) for _ in range(10)]
        frames = [await sockets[-1].receive_json() for _ in range(2)]
        for socket in sockets:
            await socket.close()

    assert [frame.get("reason") for frame in frames] == [None, "too_many_websockets"]
