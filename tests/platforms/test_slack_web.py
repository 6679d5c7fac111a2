"""These tests check that Slack's own client works with the loopback Web API as with the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack_clients import open_web
from tests.platforms.slack_server import ADA, BOB, BOT, BOT_TOKEN, DM, GENERAL, PRIVATE, File, SlackServer, texts

Opened = tuple[SlackServer, AsyncWebClient]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_web() as both:
        yield both


def markdown(text: str) -> list[dict[str, Any]]:
    return [{"type": "markdown", "text": text}]


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as fault:
        await call
    return str(fault.value.response["error"])


async def test_messages_are_posted_changed_and_removed_and_the_screen_shows_what_is_left(opened: Opened) -> None:
    server, web = opened
    first = await web.chat_postMessage(channel=DM, text="a", blocks=markdown("**a**"))
    await web.chat_postMessage(channel=DM, text="b")
    await web.chat_update(channel=DM, ts=first["ts"], text="c", blocks=markdown("**c**"))
    await web.chat_delete(channel=DM, ts=(await web.chat_postMessage(channel=ADA, text="to a person"))["ts"])

    assert [(shown.seen, shown.text, shown.past) for shown in server.screen()] == [
        *(("**c**", "c", ["**a**"]), ("b", "b", []))
    ]
    assert [effect.method for effect in server.effects] == [
        *("chat.postMessage", "chat.postMessage", "chat.update", "chat.postMessage", "chat.delete")
    ]
    assert [delivery.event.get("subtype") for delivery in server.deliveries.all] == [
        *(None, None, "message_changed", None, "message_deleted")
    ]


async def test_replies_stand_in_their_thread_and_not_in_the_history(opened: Opened) -> None:
    server, web = opened
    root = server.mention("a question")
    reply = await web.chat_postMessage(channel=GENERAL, text="an answer", thread_ts=root)
    shout = server.post("for everyone", channel=GENERAL, thread=root, broadcast=True)
    thread = await web.conversations_replies(channel=GENERAL, ts=reply["ts"])
    history = await web.conversations_history(channel=GENERAL)

    assert texts(server.screen(GENERAL, root)) == ["an answer"]
    assert [message["ts"] for message in thread["messages"]] == [root, reply["ts"], shout]
    assert thread["messages"][0]["reply_count"] == 2
    assert [message["ts"] for message in history["messages"]] == [shout, root]
    assert history["messages"][0]["root"]["ts"] == root


async def test_a_history_is_read_in_pages_newest_first_or_from_a_time_on(opened: Opened) -> None:
    server, web = opened
    ts = [server.post(str(number), at=1_000 + number) for number in range(5)]
    whole = [page["messages"] async for page in await web.conversations_history(channel=DM, limit=2)]
    later = [page["messages"] async for page in await web.conversations_history(channel=DM, oldest=ts[1], limit=2)]
    within = await web.conversations_history(channel=DM, oldest=ts[1], latest=ts[3], inclusive=True, limit=2)

    assert [[message["text"] for message in page] for page in whole] == [["4", "3"], ["2", "1"], ["0"]]
    assert [[message["text"] for message in page] for page in later] == [["3", "2"], ["4"]]
    assert [message["text"] for message in within["messages"]] == ["3", "2"]
    assert within["has_more"] is True


async def test_every_page_of_a_thread_begins_with_its_root(opened: Opened) -> None:
    server, web = opened
    root = server.post("root", at=1_000)
    ts = [server.post(str(number), thread=root, at=1_001 + number) for number in range(4)]
    asked = await web.conversations_replies(channel=DM, ts=root, oldest=ts[0], limit=2)
    pages = [page["messages"] async for page in asked]

    assert [[message["text"] for message in page] for page in pages] == [["root", "1", "2"], ["root", "3"]]


async def test_the_app_is_told_who_it_is_and_who_others_are(opened: Opened) -> None:
    _, web = opened
    own = await web.auth_test()
    person = await web.users_info(user=BOB)
    channels = [(await web.conversations_info(channel=channel))["channel"] for channel in (DM, GENERAL, PRIVATE)]
    dm = await web.conversations_open(users=[BOB])

    assert (own["user_id"], own["bot_id"], own["team_id"]) == (BOT, "B0BOT00001", "T0AGENTD01")
    assert "chat:write" in own.headers["X-OAuth-Scopes"]
    assert person["user"]["profile"]["real_name"] == "Bob Kahn"
    assert channels[0]["user"] == ADA
    assert [(channel.get("is_channel"), channel.get("is_group")) for channel in channels] == [
        *((None, None), (True, False), (False, True))
    ]
    assert dm["channel"]["id"] == "D0BOB00001"


async def test_a_file_is_there_for_who_has_the_token_and_a_sign_in_page_for_others(opened: Opened) -> None:
    server, web = opened
    server.post("look", files=[File(), File(is_hidden=True)])
    shown, hidden = server.deliveries.all[0].event["files"]
    address = shown["url_private_download"]
    async with aiohttp.ClientSession() as session:
        answers = []
        for token in (BOT_TOKEN, "xoxb-other"):
            async with session.get(address, headers={"Authorization": f"Bearer {token}"}) as response:
                answers.append((response.status, response.content_type, await response.read()))

    assert (hidden["file_access"], "url_private_download" in hidden) == ("check_file_info", False)
    assert (await web.files_info(file=hidden["id"]))["file"]["size"] == len(b"a document")
    assert answers[0] == (200, "text/plain", b"a document")
    assert answers[1][:2] == (200, "text/html")


async def test_what_cannot_be_done_is_refused_by_its_name(opened: Opened) -> None:
    server, web = opened
    theirs, gone = server.post("mine"), (await web.chat_postMessage(channel=DM, text="a"))["ts"]
    await web.chat_delete(channel=DM, ts=gone)
    server.open_channel("C0ARCHIVED").is_archived = True
    server.open_channel("C0ELSEWHERE").members.clear()
    server.open_channel("G0ELSEWHERE").members.clear()

    assert await error_of(web.chat_postMessage(channel="C0NOWHERE", text="a")) == "channel_not_found"
    assert await error_of(web.chat_postMessage(channel="C0ELSEWHERE", text="a")) == "not_in_channel"
    assert await error_of(web.chat_postMessage(channel="G0ELSEWHERE", text="a")) == "channel_not_found"
    assert await error_of(web.chat_postMessage(channel="C0ARCHIVED", text="a")) == "is_archived"
    assert await error_of(web.chat_postMessage(channel=DM, text="a", thread_ts="1.000001")) == "thread_not_found"
    assert await error_of(web.api_call("chat.postMessage", json={"channel": DM, "text": " "})) == "no_text"
    assert await error_of(web.chat_update(channel=DM, ts=theirs, text="b")) == "cant_update_message"
    assert await error_of(web.chat_update(channel=DM, ts=gone, text="b")) == "message_not_found"
    assert await error_of(web.chat_delete(channel=DM, ts=gone)) == "message_not_found"
    assert await error_of(web.conversations_replies(channel=DM, ts=gone)) == "thread_not_found"
    assert await error_of(web.users_info(user="U0NOBODY")) == "user_not_found"
    assert await error_of(web.files_info(file="F0NOTHING")) == "file_not_found"


async def test_an_edit_can_come_too_late_where_the_workspace_says_so(opened: Opened) -> None:
    server, web = opened
    ts = (await web.chat_postMessage(channel=DM, text="a"))["ts"]
    server.methods.edit_window_seconds = 0

    assert await error_of(web.chat_update(channel=DM, ts=ts, text="b")) == "edit_window_closed"


async def test_a_token_without_the_scope_or_no_longer_good_is_refused_with_what_is_missing(opened: Opened) -> None:
    server, web = opened
    server.tokens.scopes -= {"im:history"}
    with pytest.raises(SlackApiError) as missing:
        await web.conversations_history(channel=DM)
    await web.conversations_history(channel=GENERAL)
    server.revoke()
    revoked = await error_of(web.auth_test())
    server.restore()
    await web.auth_test()

    assert missing.value.response["error"] == "missing_scope"
    assert missing.value.response["needed"] == "im:history"
    assert "chat:write" in missing.value.response["provided"]
    assert revoked == "token_revoked"


async def test_mentions_in_what_the_bot_writes_are_noted_wherever_they_stand(opened: Opened) -> None:
    server, web = opened
    await web.chat_postMessage(channel=GENERAL, text="<!channel>", blocks=markdown("`<@U0ADA00001>` and <!here|here>"))
    await web.chat_postMessage(channel=GENERAL, text="&lt;!channel&gt; <https://a.test> a < b")

    assert server.pings == ["<!channel>", "<@U0ADA00001>", "<!here|here>"]
