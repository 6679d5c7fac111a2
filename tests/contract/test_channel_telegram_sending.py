"""These tests check what the Telegram channel sends, and what Telegram's refusals mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.base import Address
from channels.errors import ChatMoved, NotSent, RateLimited, SendFailed, Unreachable
from channels.markup.rich import RichText, Span, plain
from channels.telegram.channel import NOTHING_VISIBLE
from tests.platforms.telegram_behaviours import (
    cannot_parse_entities,
    drop_after_effect,
    drop_before_effect,
    failing,
    hang,
    html,
    malformed,
    raw,
    refusing,
    too_many_requests,
    unauthorized,
)
from tests.platforms.telegram_rig import HERE, QUICK, Rig, build_channel, open_rig
from tests.platforms.telegram_server import Behaviour, styles, texts

CANNOT_PARSE = "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 0"
FORUM = -1_000_000_000_005
BOLD = RichText("some bold words", (Span(5, 9, "bold"),))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        opened.server.open_chat(7)
        yield opened


async def send(rig: Rig, text: str | RichText = "a", to: Address = HERE) -> str:
    return await rig.channel.send(to, plain(text) if isinstance(text, str) else text, "nonce")


async def test_a_message_is_sent_changed_and_removed_without_receiving(rig: Rig) -> None:
    first, second = await send(rig, "one"), await send(rig, "two")
    await rig.channel.edit(HERE, first, plain("one more"))
    await rig.channel.delete(HERE, second)

    assert texts(rig.server.screen()) == ["one more"]
    assert rig.called("getMe") == 0


async def test_messages_can_be_sent_after_the_channel_was_stopped(rig: Rig) -> None:
    async with rig.running():
        await rig.polled(1)
    await send(rig, "goodbye")

    assert texts(rig.server.screen()) == ["goodbye"]


async def test_marks_are_shown_and_text_is_not_read_again(rig: Rig) -> None:
    await send(rig, rig.channel.dialect.render("**bold** `code` <b>not</b> *a_b*"))
    [shown] = rig.server.screen()

    assert ("bold", frozenset({"bold"})) in styles(shown)
    assert ("code", frozenset({"code"})) in styles(shown)
    assert "<b>not</b>" in shown.text


async def test_pages_that_a_text_links_to_are_not_previewed(rig: Rig) -> None:
    await rig.channel.edit(HERE, await send(rig), plain("b"))

    assert [params["link_preview_options"] for _, params in rig.server.calls] == [{"is_disabled": True}] * 2


async def test_a_topic_is_spoken_in_and_so_is_general(rig: Rig) -> None:
    thread = rig.server.open_topic(FORUM, "Plans")
    await send(rig, "in the topic", Address("telegram", "100", str(FORUM), str(thread)))
    await send(rig, "in general", Address("telegram", "100", str(FORUM)))

    assert [(shown.text, shown.thread) for shown in rig.server.screen(FORUM)] == [
        ("in the topic", thread),
        ("in general", None),
    ]


async def test_the_sign_of_typing_is_shown_where_the_reply_will_be(rig: Rig) -> None:
    thread = rig.server.open_topic(FORUM, "Plans")
    rig.server.post("@agentd_bot hello", chat=FORUM)
    async with rig.running():
        await rig.takes(1)
    for chat, topic in ((7, None), (FORUM, thread), (FORUM, None)):
        await rig.channel.show_typing(Address("telegram", "100", str(chat), str(topic) if topic else None))

    assert [(action.chat, action.thread) for action in rig.server.actions] == [
        (7, None),
        (FORUM, thread),
        (FORUM, None),
    ]
    assert [params.get("message_thread_id") for name, params in rig.server.calls if name == "sendChatAction"] == [
        *(None, thread, 1)
    ]


async def test_a_text_whose_marks_are_refused_is_shown_without_them(rig: Rig) -> None:
    rig.server.enqueue("sendMessage", cannot_parse_entities())
    message_id = await send(rig, BOLD)
    rig.server.enqueue("editMessageText", refusing(400, "Bad Request: ENTITY_BOUNDS_INVALID"))
    await rig.channel.edit(HERE, message_id, RichText("other bold words", (Span(6, 10, "bold"),)))
    [shown] = rig.server.screen()

    assert (shown.past, shown.text, shown.entities) == (["some bold words"], "other bold words", ())
    assert rig.channel.health.counts["plain"] == 2


async def test_a_text_without_marks_is_tried_once(rig: Rig) -> None:
    rig.server.enqueue("sendMessage", refusing(400, CANNOT_PARSE))
    with pytest.raises(SendFailed):
        await send(rig)

    assert rig.called("sendMessage") == 1


async def test_a_text_whose_marks_are_refused_twice_is_refused(rig: Rig) -> None:
    rig.server.enqueue("sendMessage", *[refusing(400, CANNOT_PARSE)] * 2)
    with pytest.raises(SendFailed):
        await send(rig, BOLD)

    assert rig.called("sendMessage") == 2


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u200d", "\u2800", "\u3164\ufeff", "\N{COMBINING RING ABOVE}"])
async def test_a_text_without_anything_to_see_says_so(rig: Rig, text: str) -> None:
    await send(rig, text)

    assert texts(rig.server.screen()) == [NOTHING_VISIBLE]


async def test_halves_of_characters_are_replaced(rig: Rig) -> None:
    await send(rig, "a\ud83db")

    assert texts(rig.server.screen()) == ["a\N{REPLACEMENT CHARACTER}b"]


async def test_an_edit_that_changes_nothing_is_no_fault(rig: Rig) -> None:
    message_id = await send(rig, BOLD)
    await rig.channel.edit(HERE, message_id, BOLD)

    assert (texts(rig.server.screen()), rig.channel.health.counts["plain"]) == (["some bold words"], 0)


async def test_what_is_gone_already_needs_no_removal(rig: Rig) -> None:
    message_id = await send(rig)
    await rig.channel.delete(HERE, message_id)
    await rig.channel.delete(HERE, message_id)

    assert rig.called("deleteMessage") == 2


@pytest.mark.parametrize("words", ["message can't be deleted", "message can't be deleted for everyone"])
async def test_what_may_not_be_removed_is_a_failure(rig: Rig, words: str) -> None:
    rig.server.enqueue("deleteMessage", refusing(400, f"Bad Request: {words}"))
    with pytest.raises(SendFailed, match="can't be deleted"):
        await rig.channel.delete(HERE, "1")


@pytest.mark.parametrize("message_id", ["99", "x", "", "-1", "²"])
async def test_an_edit_of_what_is_not_there_is_a_failure(rig: Rig, message_id: str) -> None:
    with pytest.raises(SendFailed):
        await rig.channel.edit(HERE, message_id, plain("b"))


@pytest.mark.parametrize("text", ["a" * 4097, "a" * 40_000, "😀" * 2_049])
async def test_a_text_that_is_too_long_is_a_failure(rig: Rig, text: str) -> None:
    with pytest.raises(SendFailed):
        await send(rig, text)


async def test_a_chat_that_does_not_exist_is_a_failure(rig: Rig) -> None:
    with pytest.raises(SendFailed, match="Chat not found"):
        await send(rig, "a", replace(HERE, chat="8"))


async def test_a_chat_that_shut_the_bot_out_is_not_called_again_until_it_is_heard_from(rig: Rig) -> None:
    rig.server.block(7)
    for _ in range(3):
        with pytest.raises(SendFailed, match="blocked by the user"):
            await send(rig)
    before = rig.called("sendMessage")
    async with rig.running():
        await rig.confirmed()
        with pytest.raises(SendFailed, match="removed or blocked"):
            await send(rig)
        rig.server.unblock(7)
        await rig.confirmed()
    await send(rig, "back")

    assert before == 1
    assert texts(rig.server.screen()) == ["back"]


async def test_a_message_from_a_chat_opens_it_again(rig: Rig) -> None:
    rig.server.enqueue("sendMessage", refusing(403, "Forbidden: bot was blocked by the user"))
    with pytest.raises(SendFailed):
        await send(rig)
    rig.server.post("I am back")
    async with rig.running():
        await rig.takes(1)
    await send(rig, "so am I")

    assert texts(rig.server.screen()) == ["so am I"]


async def test_a_chat_that_has_moved_says_where(rig: Rig) -> None:
    rig.server.open_chat(-5)
    new = rig.server.migrate(-5)
    with pytest.raises(ChatMoved) as moved:
        await send(rig, "a", replace(HERE, chat="-5"))

    assert moved.value.to_chat == str(new)


@pytest.mark.parametrize("seconds", [1, 30, 4000])
async def test_too_many_calls_say_how_long_to_wait(rig: Rig, seconds: int) -> None:
    rig.server.enqueue("sendMessage", too_many_requests(seconds))
    with pytest.raises(RateLimited) as limited:
        await send(rig)

    assert limited.value.retry_after_seconds == seconds


@pytest.mark.parametrize("answer", [raw(b"", 429), raw(b"{}", 429), too_many_requests(0)])
async def test_too_many_calls_that_do_not_say_how_long_mean_a_second(rig: Rig, answer: Behaviour) -> None:
    rig.server.enqueue("sendMessage", answer)
    with pytest.raises(RateLimited) as limited:
        await send(rig)

    assert limited.value.retry_after_seconds == 1


async def test_without_a_connection_nothing_was_sent() -> None:
    channel = build_channel("http://127.0.0.1:9")
    with pytest.raises(NotSent):
        await channel.send(HERE, plain("a"), "nonce")
    await channel.close()


@pytest.mark.parametrize(
    "fault",
    [
        *(drop_before_effect(), drop_after_effect(), failing(500), failing(502), html(503), malformed()),
        *(raw(b"{}"), raw(b'{"ok":true,"result":[]}'), raw(b'{"ok":true,"result":{"date":1}}'), raw(b"5")),
        *(unauthorized(), refusing(404, "Not Found"), refusing(409, "Conflict: something else")),
    ],
)
async def test_an_answer_that_says_nothing_leaves_it_unknown_whether_it_arrived(rig: Rig, fault: Behaviour) -> None:
    rig.server.enqueue("sendMessage", fault)
    with pytest.raises(Unreachable) as unknown:
        await send(rig)

    assert not isinstance(unknown.value, NotSent)


async def test_a_call_that_is_not_answered_is_given_up() -> None:
    async with open_rig(replace(QUICK, call_seconds=0.1)) as rig:
        rig.server.open_chat(7)
        rig.server.enqueue("sendMessage", hang())
        with pytest.raises(Unreachable) as unknown:
            await send(rig)

        assert not isinstance(unknown.value, NotSent)


def test_a_group_has_a_rate_of_its_own_and_typing_a_time() -> None:
    channel = build_channel("http://127.0.0.1:9")

    assert [channel.rates.is_group(chat) for chat in ("7", "-5", str(FORUM))] == [False, True, True]
    assert (channel.typing_seconds, channel.nonce_seconds, channel.streams) == (5, 0, True)
