"""These tests check what the Slack channel sends, and what it does when Slack refuses, through slack_sdk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from channels.base import Address
from channels.errors import ChannelError, NotSent, RateLimited, SendFailed, Unreachable
from channels.markup.rich import plain
from channels.slack.channel import MOST_TEXT_BYTES, NOTHING_VISIBLE
from channels.slack.dialect import SLACK
from channels.slack.faults import ChatClosed, retry_seconds
from channels.slack.waits import Growing
from tests.platforms.slack_behaviours import (
    drop_after_effect,
    drop_before_effect,
    failing,
    hang,
    html,
    malformed,
    raw,
    refusing,
    too_many_requests,
)
from tests.platforms.slack_rig import HERE, QUICK, build_channel, open_rig, thread_of
from tests.platforms.slack_server import DM, GENERAL, PRIVATE, TEAM

POST, UPDATE, DELETE = "chat.postMessage", "chat.update", "chat.delete"


async def test_a_message_is_sent_edited_and_deleted() -> None:
    async with open_rig() as rig:
        ts = await rig.channel.send(HERE, SLACK.render("a **bold** start"), "n1")
        await rig.channel.edit(HERE, ts, SLACK.render("a **bold** end"))
        [shown] = rig.server.screen()

        assert (shown.ts, shown.markdown, shown.text) == (ts, "a **bold** end", "a bold end")
        assert shown.past == ["a **bold** start"]

        await rig.channel.delete(HERE, ts)
        await rig.channel.delete(HERE, ts)

        assert rig.server.screen() == []


async def test_a_reply_goes_to_its_thread_and_outside_of_threads_to_the_conversation() -> None:
    async with open_rig() as rig:
        root = rig.server.mention("hello")
        await rig.channel.send(thread_of(root), plain("in the thread"), "")
        await rig.channel.send(HERE, plain("in private"), "")

        assert [(shown.thread, shown.seen) for shown in rig.server.screen(GENERAL)] == [(root, "in the thread")]
        assert [(shown.thread, shown.seen) for shown in rig.server.screen(DM)] == [(None, "in private")]


async def test_nothing_that_is_sent_pings_and_no_page_is_previewed() -> None:
    async with open_rig() as rig:
        words = "<!channel> `<@U0BOB00001>` @here\n```\n<!here>\n```\nhttps://x.example.com"
        ts = await rig.channel.send(HERE, SLACK.render(words), "")
        await rig.channel.edit(HERE, ts, SLACK.render(f"{words} <!everyone>"))
        sent = dict(rig.server.calls)[POST]

        assert rig.server.pings == []
        assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)


async def test_an_edit_without_a_change_is_no_fault() -> None:
    async with open_rig() as rig:
        ts = await rig.channel.send(HERE, plain("the same"), "")
        await rig.channel.edit(HERE, ts, plain("the same"))

        assert [shown.seen for shown in rig.server.screen()] == ["the same"]


@pytest.mark.parametrize("text", ["", " \n", "\u2060"])
async def test_a_text_without_anything_to_see_says_so(text: str) -> None:
    async with open_rig() as rig:
        await rig.channel.send(HERE, plain(text), "")

        assert [shown.text for shown in rig.server.screen()] == [NOTHING_VISIBLE]


@pytest.mark.parametrize("text", ["&" * 2_390, "<&>\n" * 600, "😀" * 5_000, "é`*" * 1_000])
async def test_the_largest_texts_are_taken_whole_as_new_messages_and_as_edits(text: str) -> None:
    async with open_rig() as rig:
        ts = await rig.channel.send(HERE, plain(text), "")
        await rig.channel.edit(HERE, ts, plain(f"{text}!"))
        [shown] = rig.server.screen()

        assert rig.channel.health.counts["plain"] == 0
        assert len(shown.text.encode()) <= MOST_TEXT_BYTES + 10


@pytest.mark.parametrize("error", ["msg_blocks_too_long", "invalid_blocks", "msg_too_long"])
@pytest.mark.parametrize("text", ["a **bold** & short one", "a **bold** & long one\n" * 300])
async def test_a_text_whose_blocks_are_refused_is_shown_without_its_marks(error: str, text: str) -> None:
    async with open_rig() as rig:
        rig.server.enqueue(POST, refusing(error))
        rig.server.enqueue(UPDATE, refusing(error))
        words = SLACK.render(text)
        ts = await rig.channel.send(HERE, words, "")

        assert [shown.text for shown in rig.server.screen()] == [words.text.replace("&", "&amp;")]

        await rig.channel.edit(HERE, ts, words)
        [shown] = rig.server.screen()
        sections = "\n".join(block["text"]["text"] for block in shown.blocks)

        assert (sections or shown.text) == words.text.replace("&", "&amp;").strip()
        assert rig.channel.health.counts["plain"] == 2


async def test_a_text_that_is_refused_in_its_plainest_form_too_is_refused() -> None:
    async with open_rig() as rig:
        rig.server.enqueue(POST, refusing("invalid_blocks"), refusing("msg_too_long"))

        with pytest.raises(SendFailed, match="msg_too_long"):
            await rig.channel.send(HERE, plain("hello"), "")


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (refusing("invalid_auth"), NotSent),
        (refusing("service_unavailable"), NotSent),
        (refusing("internal_error"), Unreachable),
        (refusing("fatal_error"), Unreachable),
        (refusing("restricted_action"), SendFailed),
        (refusing("missing_scope", {"needed": "chat:write", "provided": ""}), SendFailed),
        (failing(), Unreachable),
        (html(), Unreachable),
        (html(200), Unreachable),
        (malformed(), Unreachable),
        (raw(b"[]"), Unreachable),
        (raw(b'{"ok":true}'), Unreachable),
        (drop_before_effect(), Unreachable),
        (drop_after_effect(), Unreachable),
        (hang(), Unreachable),
    ],
)
async def test_what_goes_wrong_says_whether_anything_can_have_arrived(
    behaviour: Callable[..., Awaitable],  # type: ignore[type-arg]
    kind: type[ChannelError],
) -> None:
    async with open_rig(replace(QUICK, call_seconds=0.3)) as rig:
        rig.server.enqueue(POST, behaviour)

        with pytest.raises(ChannelError) as fault:
            await rig.channel.send(HERE, plain("a secret word"), "")

        assert isinstance(fault.value, kind)
        assert isinstance(fault.value, NotSent) == (kind is NotSent)
        assert "secret" not in repr(fault.value) + repr(fault.value.__cause__)
        assert rig.called(POST) == 1


async def test_a_server_that_is_not_there_has_taken_nothing() -> None:
    channel = build_channel("http://127.0.0.1:9/api/")
    try:
        with pytest.raises(NotSent):
            await channel.send(HERE, plain("hello"), "")
    finally:
        await channel.close()


async def test_too_many_calls_say_how_long_to_wait() -> None:
    async with open_rig() as rig:
        rig.server.enqueue(POST, too_many_requests(7))

        with pytest.raises(RateLimited) as fault:
            await rig.channel.send(HERE, plain("hello"), "")

        assert fault.value.retry_after_seconds == 7


async def test_where_slack_does_not_say_how_long_it_is_left_alone_for_longer_each_time() -> None:
    now = [0.0]
    async with open_rig(replace(QUICK, limited=Growing(1, 60)), monotonic=lambda: now[0]) as rig:
        waits = []
        for _ in range(8):
            rig.server.enqueue(POST, refusing("message_limit_exceeded"))
            with pytest.raises(RateLimited) as fault:
                await rig.channel.send(HERE, plain("hello"), "")
            waits.append(fault.value.retry_after_seconds)
            with pytest.raises(RateLimited):
                await rig.channel.send(replace(HERE, chat=GENERAL), plain("not sent meanwhile"), "")
            now[0] += waits[-1]
        calls = rig.called(POST)
        await rig.channel.send(HERE, plain("hello"), "")
        rig.server.enqueue(POST, refusing("message_limit_exceeded"))
        with pytest.raises(RateLimited) as fault:
            await rig.channel.send(HERE, plain("hello"), "")

        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
        assert calls == 8
        assert fault.value.retry_after_seconds == 1


async def test_calls_that_are_refused_together_make_the_pause_no_longer() -> None:
    async with open_rig(replace(QUICK, limited=Growing(30, 600))) as rig:
        rig.server.enqueue(POST, *[refusing("message_limit_exceeded")] * 5)
        waits: list[float] = []

        async def send(number: int) -> None:
            with pytest.raises(RateLimited) as fault:
                await rig.channel.send(replace(HERE, chat=f"C0ROOM{number}"), plain("hello"), "")
            waits.append(fault.value.retry_after_seconds)

        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(send(number))

        assert rig.called(POST) == 5
        assert max(waits) <= 30


@pytest.mark.parametrize(
    ("says", "seconds"), [("30", 30), ("0", 1), ("-5", 1), ("nan", 1), ("soon", 1), ("inf", 3600), ("1e9", 3600)]
)
def test_what_is_no_sensible_time_to_wait_is_waited_for_a_second_or_an_hour(says: str, seconds: float) -> None:
    assert retry_seconds({"Retry-After": says}) == seconds


async def test_edits_keep_to_their_tier_over_the_whole_workspace() -> None:
    async with open_rig() as rig:
        ts = await rig.channel.send(HERE, plain("0"), "")
        for number in range(1, 51):
            await rig.channel.edit(HERE, ts, plain(f"{number}"))
        with pytest.raises(RateLimited) as fault:
            await rig.channel.edit(HERE, ts, plain("51"))

        assert 50 < fault.value.retry_after_seconds <= 61
        assert rig.called(UPDATE) == 50
        assert await rig.channel.send(HERE, plain("messages go on"), "")


async def test_edits_rest_everywhere_while_slack_wants_none() -> None:
    async with open_rig() as rig:
        here = await rig.channel.send(HERE, plain("one"), "")
        rig.server.enqueue(UPDATE, too_many_requests(9))
        for _ in range(2):
            with pytest.raises(RateLimited):
                await rig.channel.edit(HERE, here, plain("two"))

        assert rig.called(UPDATE) == 1


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_an_edit_that_cannot_be_made_is_refused(error: str) -> None:
    async with open_rig() as rig:
        ts = await rig.channel.send(HERE, plain("one"), "")
        rig.server.enqueue(UPDATE, refusing(error))

        with pytest.raises(SendFailed, match=error):
            await rig.channel.edit(HERE, ts, plain("two"))


@pytest.mark.parametrize("error", ["channel_not_found", "not_in_channel", "is_archived"])
async def test_a_place_that_shut_the_bot_out_is_not_called_again_until_it_is_heard_from(error: str) -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.enqueue(POST, refusing(error))
        there = Address("slack", TEAM, PRIVATE)
        for _ in range(2):
            with pytest.raises(ChatClosed):
                await rig.channel.send(there, plain("hello"), "")

        assert rig.called(POST) == 1

        rig.server.mention("come back", channel=PRIVATE)
        await rig.acked(2)

        assert await rig.channel.send(there, plain("hello"), "")


async def test_calls_share_their_connections() -> None:
    async with open_rig() as rig:
        async with asyncio.TaskGroup() as tasks:
            for number in range(5):
                tasks.create_task(rig.channel.send(HERE, plain(f"{number}"), ""))

        assert sorted(shown.seen for shown in rig.server.screen()) == ["0", "1", "2", "3", "4"]
