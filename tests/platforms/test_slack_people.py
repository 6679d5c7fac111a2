"""These tests check that what people do in the loopback Slack reaches the app as the real events do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.platforms.slack_clients import RawClient, open_bolt, open_raw, until
from tests.platforms.slack_server import BOB, BOT, DM, GENERAL, OPEN, TEAM, File


@pytest.fixture
async def raw() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        yield client


def events(raw: RawClient) -> list[Any]:
    return [delivery.event for delivery in raw.server.deliveries.all]


def kinds(raw: RawClient) -> list[tuple[str, str | None]]:
    return [(event.get("type", ""), event.get("subtype")) for event in events(raw)]


async def test_a_message_comes_as_it_was_typed_with_what_slack_makes_of_it(raw: RawClient) -> None:
    ts = raw.server.post("1 < 2 & <@U0BOB00001> https://a.test?b&c")
    (delivery,) = raw.server.deliveries.all

    assert delivery.event["text"] == "1 &lt; 2 &amp; <@U0BOB00001> <https://a.test?b&amp;c>"
    assert {name: delivery.event[name] for name in ("channel", "channel_type", "ts", "event_ts", "user", "team")} == {
        **{"channel": DM, "channel_type": "im", "ts": ts, "event_ts": ts},
        **{"user": "U0ADA00001", "team": TEAM},
    }
    assert delivery.payload["type"] == "event_callback"
    assert delivery.payload["authorizations"][0]["user_id"] == BOT


async def test_a_mention_comes_as_two_events_of_one_message_and_none_from_where_the_bot_is_not(raw: RawClient) -> None:
    raw.server.open_channel("C0ELSEWHERE").members.discard(BOT)
    raw.server.mention("hello", channel="C0ELSEWHERE")
    ts = raw.server.mention("hello")
    raw.server.mention("in private", channel=raw.server.dm_of(BOB), author=BOB)

    assert kinds(raw) == [("message", None), ("app_mention", None), ("message", None)]
    assert [event["ts"] for event in events(raw)[:2]] == [ts, ts]
    assert "channel_type" not in events(raw)[1]
    assert len({delivery.event_id for delivery in raw.server.deliveries.all}) == 3


async def test_changes_come_with_what_was_there_before_and_a_root_with_replies_leaves_a_stone(raw: RawClient) -> None:
    ts = raw.server.post("one")
    raw.server.post_edit(ts, "two")
    raw.server.unfurl(ts)
    raw.server.post_delete(ts)
    root = raw.server.post("root", channel=GENERAL)
    raw.server.post("reply", channel=GENERAL, thread=root)
    raw.server.post_delete(root, channel=GENERAL)
    edited, unfurled, deleted = events(raw)[1:4]
    stone = events(raw)[-1]

    assert (edited["message"]["text"], edited["previous_message"]["text"]) == ("two", "one")
    assert edited["message"]["edited"]["user"] == "U0ADA00001"
    assert unfurled["message"]["edited"] == edited["message"]["edited"]
    assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", ts)
    assert deleted["previous_message"]["user"] == "U0ADA00001"
    assert (stone["subtype"], stone["message"]["subtype"]) == ("message_changed", "tombstone")
    assert (await raw.call("conversations.replies", channel=GENERAL, ts=root))["messages"][1]["text"] == "reply"


async def test_files_broadcasts_joins_bots_and_what_nobody_asked_for_come_as_what_they_are(raw: RawClient) -> None:
    root = raw.server.post("root", channel=GENERAL)
    raw.server.post("all", channel=GENERAL, thread=root, broadcast=True)
    raw.server.post("look", files=[File("a.png", b"png", "image/png")])
    raw.server.post_as_bot("beep")
    raw.server.join("U0CARL0001")
    raw.server.react(root, channel=GENERAL)
    raw.server.push({"type": "emoji_changed"})
    raw.server.post("unheard", unheard=True)
    raw.server.rate_limit()

    assert kinds(raw) == [
        *(("message", None), ("message", "thread_broadcast"), ("message", "file_share"), ("message", "bot_message")),
        *(("message", "channel_join"), ("member_joined_channel", None), ("reaction_added", None), ("", None)),
    ]
    assert events(raw)[1]["root"]["ts"] == root
    assert events(raw)[2]["files"][0]["mimetype"] == "image/png"
    assert "user" not in events(raw)[3]
    assert raw.server.deliveries.all[-1].payload["type"] == "app_rate_limited"


async def test_a_command_is_answered_with_its_ack_and_by_its_address() -> None:
    async with open_bolt() as bolt:
        command = bolt.server.command("/agentd", "new")
        await bolt.until(lambda: command.delivery.state == "acked")
        (heard,) = bolt.commands
        answer = AsyncWebhookClient(heard["response_url"])
        for number in range(5):
            assert (await answer.send(text=str(number))).status_code == 200

    assert (heard["text"], heard["trigger_id"], heard["channel_id"]) == ("new", command.trigger_id, DM)
    assert command.said == ["new: done", "0", "1", "2", "3", "4"]


async def test_a_command_that_is_not_acked_in_time_has_failed_and_does_not_come_again(raw: RawClient) -> None:
    raw.server.deliveries.ack_seconds = 0.02
    async with raw.line() as line:
        command = raw.server.command("/agentd", "new")
        envelope = await line.hear()
        await until(raw.server, lambda: command.has_failed)

    assert envelope["type"] == "slash_commands"
    assert envelope["accepts_response_payload"] is True
    assert raw.server.deliveries.all[0].envelope_ids == [envelope["envelope_id"]]


async def test_an_answer_to_a_command_that_is_not_one_is_refused_and_noted(raw: RawClient) -> None:
    address = raw.server.command("/agentd").delivery.payload["response_url"]
    for body in ("{", '{"words":1}', '{"response_type":"loud"}'):
        async with raw.session.post(address, data=body) as response:
            assert response.status == 404

    assert len(raw.server.refusals) == 3


async def test_an_assistant_thread_begins_with_the_apps_message_and_shows_what_the_app_does() -> None:
    async with open_bolt() as bolt:
        server, web = bolt.server, bolt.web
        thread = server.open_assistant()
        server.assistant.look_at(thread, GENERAL)
        await web.assistant_threads_setSuggestedPrompts(
            channel_id=DM, thread_ts=thread, prompts=[{"title": "Hello", "message": "Say hello."}]
        )
        server.post("hello", thread=thread)
        await web.assistant_threads_setStatus(channel_id=DM, thread_ts=thread, status="is thinking...")
        await web.assistant_threads_setTitle(channel_id=DM, thread_ts=thread, title="A greeting")
        during = server.history.status_of(DM, thread)
        await web.chat_postMessage(channel=DM, thread_ts=thread, text="hi")

    assert [delivery.event["type"] for delivery in server.deliveries.all[:3]] == [
        *("message", "assistant_thread_started", "assistant_thread_context_changed")
    ]
    assert server.deliveries.all[0].event["subtype"] == "assistant_app_thread"
    assert (during, server.history.status_of(DM, thread)) == ("is thinking...", "")
    assert server.assistant.titles == {(DM, thread): "A greeting"}
    assert [shown.seen for shown in server.screen(DM, thread)] == ["hi"]


async def test_no_line_opens_and_no_call_goes_through_while_the_network_is_gone(raw: RawClient) -> None:
    address = await raw.address()
    raw.server.refuse_connections = True
    with pytest.raises(aiohttp.ClientError):
        await raw.session.ws_connect(address)
    with pytest.raises(aiohttp.ClientError):
        await raw.call("auth.test")

    assert [name for name, _ in raw.server.calls] == [OPEN]
