"""These tests check how the Slack channel takes in what people write, through slack_sdk over real sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from channels.base import Author, InboundDelete, InboundEdit, InboundMessage
from tests.platforms.slack_behaviours import hang, refusing
from tests.platforms.slack_rig import HERE, QUICK, open_rig, thread_of
from tests.platforms.slack_server import ADA, BOB, BOT, DM, GENERAL, TEAM


async def test_an_envelope_is_acked_only_after_its_message_was_taken() -> None:
    async with open_rig() as rig, rig.running():
        gate = rig.gates[HERE] = asyncio.Event()
        await rig.opened()
        rig.server.post("hello")
        await rig.until(lambda: rig.offered)

        assert rig.server.acked == []

        gate.set()
        await rig.acked(1)
        [message] = rig.took

        assert isinstance(message, InboundMessage)
        assert (message.address, message.author, message.text) == (HERE, Author(ADA, "ada", "ada"), "hello")
        assert f"{message.sent_at.timestamp():.6f}" == message.message_id


async def test_what_takes_longer_than_slack_waits_has_no_ack_and_its_redelivery_is_recognised() -> None:
    async with open_rig(replace(QUICK, ack_seconds=0.5)) as rig, rig.running():
        rig.server.deliveries.ack_seconds = 1
        rig.server.deliveries.retry_seconds = (0, 0.1, 0.1)
        gate = rig.gates[HERE] = asyncio.Event()
        await rig.opened()
        rig.server.post("slowly")
        await rig.until(lambda: len(rig.server.deliveries.all[0].envelope_ids) == 2)
        del rig.gates[HERE]
        gate.set()
        await rig.acked(1)

        assert rig.texts == ["slowly"]
        assert rig.server.late_acks == []
        assert rig.channel.health.counts["late"] == 1
        assert rig.server.deliveries.all[0].retries == 1


async def test_what_is_not_accepted_is_offered_again_in_its_place_and_its_sender_told_once() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.refusals.extend(["The disk is full."] * 3)
        rig.server.post("one")
        rig.server.post("two")
        await rig.acked(2)

        assert rig.texts == ["one", "two"]
        assert [shown.seen for shown in rig.server.screen()] == [
            "The disk is full. I try again by myself: there is no need to send it once more."
        ]


async def test_a_disk_that_refuses_is_named_until_it_does_not() -> None:
    async with open_rig(replace(QUICK, ping_seconds=0.05)) as rig, rig.running():
        await rig.opened()
        rig.refusals.extend(["The disk is full."] * 100)
        rig.server.post("one")
        await rig.until(lambda: "The disk is full." in rig.channel.health.fault)
        rig.refusals.clear()
        await rig.acked(1)
        await rig.until(lambda: not rig.channel.health.fault)

        assert rig.texts == ["one"]


async def test_a_place_that_takes_long_holds_up_no_other_and_keeps_its_own_order() -> None:
    async with open_rig() as rig, rig.running():
        gate = rig.gates[HERE] = asyncio.Event()
        await rig.opened()
        rig.server.post("one")
        rig.server.post("two")
        rig.server.post("from Bob", author=BOB)
        await rig.takes(1)

        assert rig.texts == ["from Bob"]

        gate.set()
        await rig.acked(3)

        assert rig.texts == ["from Bob", "one", "two"]


async def test_a_mention_in_a_channel_is_one_message_whichever_event_comes_first() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        ts = rig.server.mention("what is this?")
        await rig.acked(2)
        [message] = rig.took

        assert isinstance(message, InboundMessage)
        assert message.address == thread_of(ts)
        assert (message.text, message.is_direct) == ("what is this?", False)


async def test_what_names_nobody_in_a_channel_is_acked_counted_and_not_taken() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        root = rig.server.post("lunch?", channel=GENERAL)
        rig.server.post("yes", channel=GENERAL, thread=root, author=BOB)
        rig.server.post(f"ask <@{BOB}>", channel=GENERAL)
        await rig.acked(3)

        assert rig.offered == []
        assert rig.channel.health.counts["unaddressed"] == 3
        assert rig.looks == 1


@pytest.mark.parametrize(("channels", "texts"), [("all", ["lunch?", "yes", "DM"]), ("off", ["DM"])])
async def test_channels_are_read_as_the_configuration_says(channels: str, texts: list[str]) -> None:
    async with open_rig(channels=channels) as rig, rig.running():  # type: ignore[arg-type]
        await rig.opened()
        root = rig.server.post("lunch?", channel=GENERAL)
        await rig.acked(1)
        rig.server.post("yes", channel=GENERAL, thread=root)
        await rig.acked(2)
        rig.server.post("DM")
        await rig.acked(3)

        assert rig.texts == texts


async def test_a_thread_that_it_was_mentioned_in_stays_open_from_then_on() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        root = rig.server.mention("hello")
        rig.server.post("and then?", channel=GENERAL, thread=root)
        await rig.acked(3)
        looks = rig.looks
        rig.server.post("and after that?", channel=GENERAL, thread=root, author=BOB)
        await rig.acked(4)

        assert rig.texts == ["hello", "and then?", "and after that?"]
        assert {message.address for message in rig.took} == {thread_of(root)}
        assert (looks, rig.looks) == (2, 2)


async def test_a_thread_is_not_opened_by_a_strangers_mention() -> None:
    async with open_rig() as rig, rig.running():
        rig.strangers = {BOB}
        await rig.opened()
        root = rig.server.mention("let me in", author=BOB)
        for text in ("hello?", "anyone?"):
            rig.server.post(text, channel=GENERAL, thread=root)
        await rig.acked(4)

        assert rig.took == []
        assert [message.text for message in rig.offered if isinstance(message, InboundMessage)] == ["let me in"] * 2
        assert rig.looks == 2

        rig.server.post(f"<@{BOT}> hello", channel=GENERAL, thread=root)
        rig.server.post("and more", channel=GENERAL, thread=root)
        await rig.acked(7)

        assert rig.texts == ["hello", "and more"]


async def test_threads_of_direct_messages_are_places_of_their_own_and_a_root_with_replies_is_not() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        root = rig.server.post("one")
        rig.server.post("in the thread", thread=root)
        await rig.takes(2)
        rig.server.post_edit(root, "one, edited")
        await rig.acked(3)

        assert [inbound.address for inbound in rig.took] == [HERE, thread_of(root, DM), HERE]
        assert isinstance(rig.took[2], InboundEdit)


async def test_a_reply_that_is_also_sent_to_the_channel_stays_in_its_thread() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        root = rig.server.mention("hello")
        rig.server.post("for all to see", channel=GENERAL, thread=root, broadcast=True)
        await rig.takes(2)

        assert {message.address for message in rig.took} == {thread_of(root)}


async def test_edits_and_deletions_are_taken_and_what_slack_changes_by_itself_is_not() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        ts = rig.server.post("see https://x.test")
        await rig.acked(1)
        rig.server.unfurl(ts)
        await rig.acked(2)
        rig.server.post_edit(ts, "see there")
        await rig.acked(3)
        rig.server.post_delete(ts)
        await rig.acked(4)
        _, edit, deletion = rig.took

        assert isinstance(edit, InboundEdit)
        assert (edit.message_id, edit.text, edit.author.id) == (ts, "see there", ADA)
        assert edit.edited_at.timestamp() > float(ts)
        assert isinstance(deletion, InboundDelete)
        assert (deletion.message_id, deletion.author.id, deletion.address) == (ts, ADA, HERE)
        assert rig.channel.health.counts["service"] == 1


async def test_a_root_that_is_taken_back_while_its_thread_stays_is_a_deletion() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        root = rig.server.mention("hello")
        rig.server.post("and then?", channel=GENERAL, thread=root)
        await rig.takes(2)
        rig.server.post_delete(root, channel=GENERAL)
        await rig.takes(3)

        assert isinstance(rig.took[2], InboundDelete)
        assert (rig.took[2].message_id, rig.took[2].address) == (root, thread_of(root))


async def test_bots_itself_and_notices_are_ignored_acked_and_counted() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.post_as_bot(f"<@{BOT}> and you?")
        rig.server.join(BOB)
        rig.server.react(rig.server.post("hello"))
        await rig.channel.send(HERE, rig.channel.dialect.render("hi"), "")
        await rig.until(lambda: not rig.server.unacked)

        assert rig.texts == ["hello"]
        counts = rig.channel.health.counts
        assert (counts["bot"], counts["service"], counts["own"], counts["other"]) == (1, 1, 1, 2)


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "event_callback", "event": {"type": "message", "channel": DM, "user": ADA, "text": "x", "ts": "soon"}},
        {"type": "event_callback", "event": ["message"]},
        {"type": "event_callback", "event": {"type": "message", "subtype": "message_changed", "channel": DM}},
        {"type": "event_callback", "event": {"type": "message", "channel": {"id": DM}, "text": 7}},
        {"type": "event_callback", "event": {"type": "assistant_thread_started", "assistant_thread": None}},
        {"type": "app_rate_limited", "team_id": TEAM},
        {},
    ],
)
async def test_what_cannot_be_read_is_acked_counted_and_lets_the_next_pass(payload: dict[str, object]) -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.push_raw(payload)
        rig.server.post("next")
        await rig.acked(2)

        assert rig.texts == ["next"]
        assert sum(rig.channel.health.counts.values()) == 1


async def test_names_are_asked_for_once_and_never_waited_for_long() -> None:
    async with open_rig(replace(QUICK, name_seconds=0.05)) as rig, rig.running():
        rig.server.enqueue("users.info", hang(), refusing("user_not_found"))
        await rig.opened()
        rig.server.post("one")
        rig.server.post(f"and <@{BOB}>, see <https://x.test|this>", author=BOB)
        rig.server.post("three")
        await rig.acked(3)
        names = {message.text: message.author.name for message in rig.took if isinstance(message, InboundMessage)}

        assert names["one"] == ADA
        assert names["three"] == ADA
        assert rig.called("users.info") == 2


async def test_people_channels_and_links_are_read_as_words() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.post(f"<@{BOB}> & <#{GENERAL}|general> <!here> 1 < 2")
        await rig.acked(1)

        assert rig.texts == ["@bob & #general @here 1 < 2"]


async def test_where_a_name_says_who_may_talk_it_is_waited_for() -> None:
    async with open_rig(allowed=("@ada",)) as rig, rig.running():
        rig.server.enqueue("users.info", refusing("internal_error"), refusing("internal_error"))
        await rig.opened()
        rig.server.post("hello")
        await rig.acked(1)
        [message] = rig.took

        assert isinstance(message, InboundMessage)
        assert message.author.username == "ada"


async def test_commands_behind_a_bang_are_commands_and_other_bangs_are_not() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.post("!new")
        rig.server.post("!important: read this")
        rig.server.post("!newer")
        root = rig.server.mention("!stop now")
        await rig.acked(5)

        assert sorted(rig.texts) == ["!important: read this", "!newer", "/new", "/stop now"]
        assert thread_of(root) in {message.address for message in rig.took}


async def test_a_slash_command_is_answered_after_it_was_taken() -> None:
    async with open_rig() as rig, rig.running():
        gate = rig.gates[HERE] = asyncio.Event()
        await rig.opened()
        command = rig.server.command("/agentd", "new")
        await rig.until(lambda: rig.offered)

        assert command.said == []

        gate.set()
        await rig.acked(1)
        [message] = rig.took

        assert isinstance(message, InboundMessage)
        assert (message.text, message.message_id, message.author.id) == ("/new", command.trigger_id, ADA)
        assert command.said == ["/new it is."]


async def test_a_slash_command_without_a_verb_asks_for_help_and_one_in_a_channel_says_what_threads_want() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.server.command("/agentd")
        there = rig.server.command("/agentd", "new", channel=GENERAL)
        await rig.acked(2)

        assert sorted(rig.texts) == ["/help", "/new"]
        assert there.said == ["/new it is. In a thread, write it there with a ! instead, such as !new."]


async def test_a_slash_command_that_cannot_be_kept_says_so_and_is_not_offered_again() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        rig.refusals.append("The disk is full.")
        command = rig.server.command("/agentd", "new")
        await rig.acked(1)

        assert command.said == ["The disk is full."]
        assert len(rig.offered) == 1


async def test_an_assistant_thread_is_greeted_named_and_shows_that_a_reply_is_made() -> None:
    async with open_rig() as rig, rig.running():
        await rig.opened()
        thread = rig.server.open_assistant()
        place = thread_of(thread, DM)
        await rig.until(lambda: rig.server.assistant.prompts)
        rig.server.post("How do I bake\n bread?", thread=thread)
        rig.server.post("And rolls?", thread=thread)
        await rig.takes(2)
        await rig.channel.show_typing(place)
        await rig.until(lambda: rig.server.assistant.titles)

        assert rig.server.assistant.titles == {(DM, thread): "How do I bake bread?"}
        assert [status.status for status in rig.server.statuses] == ["is thinking..."]
        assert rig.called("assistant.threads.setTitle") == 1


@pytest.mark.parametrize("error", ["missing_scope", "unknown_method"])
async def test_an_app_that_is_no_assistant_is_not_asked_again(error: str) -> None:
    async with open_rig() as rig:
        rig.server.enqueue("assistant.threads.setStatus", refusing(error))
        for thread in ("1.1", "1.2"):
            await rig.channel.show_typing(thread_of(thread, DM))

        assert rig.called("assistant.threads.setStatus") == 1


async def test_elsewhere_nothing_is_shown_while_a_reply_is_made() -> None:
    async with open_rig() as rig:
        for place in (HERE, thread_of("1.1")):
            await rig.channel.show_typing(place)

        assert rig.server.calls == []
