"""These tests hold a chat on Slack with the whole daemon: what is said, what is shown, what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.flow.house import says
from tests.flow.slack_bot import App, open_app
from tests.flow.soundness import check_sessions
from tests.platforms.slack_behaviours import hold_after_effect, refusing, too_many_requests
from tests.platforms.slack_server import ADA, BOB, BOT, DM, GENERAL, TEAM, File, texts
from tests.platforms.slackapi.limits import TIERS, Limits

FORWARDED = {
    "id": 1,
    "is_share": True,
    "is_msg_unfurl": True,
    "author_name": "Bob Kahn",
    "from_url": "https://agentd-tests.slack.com/archives/C0GENERAL1/p1",
    "fallback": "[Today] bob: new plans",
    "text": "!new plans &amp; more: see <https://x.test>",
}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def test_a_message_is_answered_and_both_are_on_record(app: App) -> None:
    async with app.run():
        await app.hears()
        ts = app.slack.post("Hello")
        await app.settled()

    [said], [reply] = app.records("user"), app.records("assistant")

    assert texts(app.slack.screen()) == ["You said: Hello"]
    assert (said["source"]["message_id"], said["source"]["chat"]) == (ts, DM)
    assert reply["answers"] == [said["seq"]]
    [delivery] = app.records("delivery")
    assert delivery["state"] == "sent"
    assert delivery["message_ids"] == [shown.ts for shown in app.slack.screen()]
    assert len(app.sessions()) == 1


async def test_the_ack_does_not_wait_for_the_model(app: App) -> None:
    gate = asyncio.Event()
    app.model.enqueue(says("At", " last.", gate=gate))
    async with app.run():
        await app.hears()
        app.slack.post("Hello")
        await app.until(lambda: bool(app.slack.acked))

        assert app.records("assistant") == []

        gate.set()
        await app.settled()

    assert texts(app.slack.screen()) == ["At last."]


async def test_a_reply_grows_by_edits_and_ends_formatted(app: App) -> None:
    gate = asyncio.Event()
    app.model.enqueue(says("So **far**", ", and `done`.", gate=gate))
    async with app.run():
        await app.hears()
        app.slack.post("Hello")
        growing = await app.shows("So **far**")
        gate.set()
        await app.settled()

    assert growing.past
    assert [(shown.markdown, shown.text) for shown in app.slack.screen()] == [
        ("So **far**, and `done`.", "So far, and done.")
    ]


async def test_an_answer_longer_than_a_message_comes_in_parts_that_slack_takes(app: App) -> None:
    answer = "\n\n".join(f"**Part** {number}: " + "words & more " * 60 for number in range(40))
    app.model.enqueue(says(answer))
    async with app.run('[channels_config]\nstream = "off"'):
        await app.hears()
        app.slack.post("Hello")
        await app.settled()
    shown = app.slack.screen()

    assert len(shown) > 2
    assert all(len(one.markdown) <= 12_000 for one in shown)
    assert "".join(one.markdown for one in shown).count("&amp; more") == 40 * 60


async def test_a_mention_is_answered_in_its_thread_and_what_follows_there_too_also_after_a_restart(app: App) -> None:
    async with app.run():
        await app.hears()
        root = app.slack.mention("Hello")
        await app.settled()
        app.slack.post("And then?", channel=GENERAL, thread=root)
        await app.settled(2)
    async with app.run():
        await app.hears()
        app.slack.post("Still there?", channel=GENERAL, thread=root)
        app.slack.post("Not for you", channel=GENERAL)
        await app.settled(3)

    assert app.asked() == ["Hello", "And then?", "Still there?"]
    assert [(shown.thread, shown.seen) for shown in app.slack.screen(GENERAL)] == [
        (root, "You said: Hello"),
        (root, "You said: And then?"),
        (root, "You said: Still there?"),
    ]
    assert len(app.sessions()) == 1
    assert app.records("session")[0]["key"] == {
        "channel": "slack",
        "account": TEAM,
        "chat": GENERAL,
        "thread": root,
        "sender": ADA,
    }


async def test_threads_do_not_mix_and_neither_do_people(app: App) -> None:
    async with app.run():
        await app.hears()
        roots = [app.slack.mention(text) for text in ("One", "Two")]
        for root in roots:
            app.slack.post(f"again in {roots.index(root)}", channel=GENERAL, thread=root, author=BOB)
        app.slack.post("In private")
        await app.until(lambda: len(app.records("user")) == 5)
        await app.settled(5)

    assert len(app.sessions()) == 5
    assert all(len(request.body.messages) == 2 for request in app.model.requests)  # the system's, and one
    for root in roots:
        assert len(app.slack.screen(GENERAL, root)) == 2


async def test_a_stranger_is_shown_a_code_in_private_and_nothing_in_channels(app: App) -> None:
    async with app.run(allowed=f'["{ADA}"]'):
        await app.hears()
        root = app.slack.mention("Let me in", author=BOB)
        app.slack.post("Hello?", channel=GENERAL, thread=root, author=ADA)
        app.slack.post("Hello", author=BOB)
        await app.shows("Your code is", app.slack.dm_of(BOB))
        await app.until(lambda: app.is_taken)

    assert app.slack.screen(GENERAL) == []
    assert app.sessions() == []
    assert app.asked() == []


@pytest.mark.parametrize("mpim", ["G0MPIM0001", "C0MPIM0001"])
async def test_a_direct_message_of_several_is_a_channel_where_no_code_is_shown(app: App, mpim: str) -> None:
    app.slack.open_channel(mpim, kind="mpim")
    async with app.run(allowed=f'["{ADA}"]'):
        await app.hears()
        app.slack.mention("Let me in", author=BOB, channel=mpim)
        app.slack.post("Not for you", channel=mpim)
        root = app.slack.mention("Hello", channel=mpim)
        await app.settled()

    assert [(shown.thread, shown.seen) for shown in app.slack.screen(None)] == [(root, "You said: Hello")]
    assert app.asked() == ["Hello"]
    assert app.records("session")[0]["key"]["thread"] == root


async def test_an_edit_of_a_message_that_is_answered_changes_the_next_prompt(app: App) -> None:
    app.model.enqueue(says("I see."))
    async with app.run():
        await app.hears()
        ts = app.slack.post("I am from Pris")
        await app.settled()
        app.slack.post_edit(ts, "I am from Paris")
        await app.until(lambda: bool(app.records("edit")))
        app.slack.post("Where am I from?")
        await app.settled(2)

    assert len(app.model.requests) == 2
    assert "I am from Paris" in str(app.model.requests[-1].body.messages)
    assert "Pris" not in str(app.model.requests[-1].body.messages)


async def test_a_message_that_is_taken_back_is_on_record(app: App) -> None:
    async with app.run():
        await app.hears()
        ts = app.slack.post("Never mind")
        await app.settled()
        app.slack.post_delete(ts)
        await app.until(lambda: bool(app.records("delete")))

    assert app.records("delete")[0]["source"]["message_id"] == ts


async def test_a_text_file_stands_in_the_prompt(app: App) -> None:
    async with app.run():
        await app.hears()
        app.slack.post("What is this?", files=[File("notes.txt", b"The answer is a blue whale.")])
        await app.settled()

    assert "The answer is a blue whale." in str(app.model.requests[0].body.messages)
    assert [path.read_bytes() for path in app.workspace.glob("sessions/*.files/*")] == [b"The answer is a blue whale."]


async def test_what_is_said_again_by_slack_is_answered_once(app: App) -> None:
    app.slack.deliveries.retry_seconds = (0, 0.05, 0.05)
    app.slack.deliveries.ack_seconds = 0.05
    async with app.run():
        await app.hears()
        for number in range(5):
            app.slack.post(f"Hello {number}")
        await app.until(lambda: len({seq for reply in app.records("assistant") for seq in reply["answers"]}) == 5)
        await app.settled(len(app.records("assistant")))

    assert len(app.records("user")) == 5


async def test_a_reply_that_may_have_arrived_when_the_daemon_was_cut_is_sent_once_more_and_marked(app: App) -> None:
    app.slack.enqueue("chat.postMessage", hold_after_effect())
    async with app.run('[service]\ndrain_seconds = 0.1\n[channels_config]\nstream = "off"'):
        await app.hears()
        app.slack.post("Hello")
        await app.until(app.slack.held.is_set)
    app.slack.released.set()
    async with app.run():
        await app.settled()

    shown = texts(app.slack.screen())
    assert len(shown) == 2  # Slack drops no second copy, and cannot be asked: it is marked
    assert shown[0] == "You said: Hello"
    assert shown[1] != shown[0]
    assert app.records("delivery")[0]["state"] == "uncertain"


async def test_rates_of_slack_are_waited_out(app: App) -> None:
    app.slack.enqueue("chat.postMessage", too_many_requests(1))
    gate = asyncio.Event()
    app.model.enqueue(says("So", " far", ", and done.", gate=gate))
    async with app.run():
        await app.hears()
        app.slack.post("Hello")
        await app.shows("So far")
        app.slack.enqueue("chat.update", too_many_requests(1))
        gate.set()
        await app.settled()

    assert texts(app.slack.screen()) == ["So far, and done."]
    assert app.slack.violations == []


async def test_replies_that_grow_in_many_conversations_keep_to_slacks_limits(app: App) -> None:
    app.slack.limits = Limits(channel_burst=3, per_minute={**TIERS, "chat.update": 6})
    people = [f"U0PERSON{number}" for number in range(4)]
    for _ in people:
        app.model.enqueue(says("One", " two", " three", " four", " and five."))
    async with app.run():
        await app.hears()
        for person in people:
            app.slack.post("Count", author=person)
        await app.settled(len(people))

    assert app.slack.violations == []
    assert [texts(app.slack.screen(app.slack.dm_of(person))) for person in people] == [
        ["One two three four and five."]
    ] * len(people)


async def test_who_has_shut_the_bot_out_holds_up_nobody(app: App) -> None:
    async with app.run():
        await app.hears()
        app.slack.enqueue("chat.postMessage", refusing("channel_not_found"))
        app.slack.post("Hello")
        await app.until(lambda: len(app.records("delivery")) == 1)
        app.slack.post("Hi", author=BOB)
        await app.settled(2)

    assert sorted(record["state"] for record in app.records("delivery")) == ["failed", "sent"]


async def test_a_thread_that_all_share_is_one_conversation_in_which_the_model_knows_who_speaks(app: App) -> None:
    async with app.run('[channels_config]\nsession_scope = "chat"'):
        await app.hears()
        root = app.slack.mention("I am Ada", author=ADA)
        await app.settled()
        app.slack.post("And who am I?", channel=GENERAL, thread=root, author=BOB)
        await app.settled(2)

    prompt = [message.content for message in app.model.requests[-1].body.messages[1:]]

    assert len(app.sessions()) == 1
    assert [prompt[0].split(",")[0], prompt[-1].split(",")[0]] == [f"[From {ADA}", f"[From {BOB}"]
    assert [prompt[0].split("\n")[1], prompt[-1].split("\n")[1]] == ["I am Ada", "And who am I?"]


async def test_what_is_forwarded_without_words_is_the_message(app: App) -> None:
    async with app.run():
        await app.hears()
        app.slack.post(more={"attachments": [FORWARDED]})
        await app.settled()

    assert app.asked() == ["[Forwarded from Bob Kahn:]\n!new plans & more: see https://x.test"]
    assert app.records("command") == []


async def test_what_is_forwarded_stands_below_the_words_and_is_no_mention_of_the_bot(app: App) -> None:
    named = {**FORWARDED, "text": f"<@{BOT}> what is this?"}
    async with app.run():
        await app.hears()
        app.slack.post(channel=GENERAL, more={"attachments": [named]})
        ts = app.slack.post("What does he want?", more={"attachments": [named]})
        await app.settled()
        app.slack.post_edit(ts, "What?")
        await app.until(lambda: bool(app.records("edit")))

    assert app.asked() == ["What does he want?\n[Forwarded from Bob Kahn:]\n@agentd what is this?"]
    assert [record["content"] for record in app.records("edit")] == [
        "What?\n[Forwarded from Bob Kahn:]\n@agentd what is this?"
    ]


async def test_a_file_of_what_is_forwarded_is_read_and_a_preview_is_not(app: App) -> None:
    root = app.slack.post("See", author=BOB, channel=GENERAL, files=[File("notes.txt", b"A blue whale.")], unheard=True)
    files = app.slack.messages[GENERAL, root].content["files"]
    preview = {"id": 1, "from_url": "https://x.test", "title": "A page", "text": "Not said by anybody"}
    async with app.run():
        await app.hears()
        app.slack.post("Look", more={"attachments": [preview, {**FORWARDED, "text": "", "files": files}]})
        await app.settled()

    prompt = str(app.model.requests[0].body.messages)

    assert "A blue whale." in prompt
    assert "Not said by anybody" not in prompt


async def test_what_no_listener_takes_is_counted_and_told_once_of_a_kind_without_its_words(app: App) -> None:
    unheard = {"type": "app_home_opened", "user": ADA, "tab": "a secret word", "channel": DM}
    with capture_logs() as logs:
        async with app.run():
            await app.hears()
            for _ in range(3):
                app.slack.push_raw({"type": "event_callback", "event": unheard})
            app.slack.push_raw({"type": "event_callback", "event": {"type": "a secret word"}})
            app.slack.post("a secret word", channel=GENERAL)
            app.slack.join(BOB)
            await app.until(lambda: app.is_taken)
    told = [(log["event"], log["log_level"], log.get("reason"), log.get("kind")) for log in logs if "kind" in log]

    assert app.channel is not None
    assert app.channel.health.counts == {"other": 5, "unaddressed": 1, "service": 1}
    assert told == [
        ("event_without_listener", "info", None, "events_api/app_home_opened"),
        ("event_passed_over", "debug", "other", "events_api/app_home_opened"),
        ("event_passed_over", "debug", "other", "events_api/app_home_opened"),
        ("event_without_listener", "info", None, "events_api"),
        ("event_passed_over", "debug", "unaddressed", "events_api/message"),
        ("event_passed_over", "debug", "service", "events_api/message/channel_join"),
        ("event_without_listener", "info", None, "events_api/member_joined_channel"),
    ]
    assert "secret" not in str(logs)
