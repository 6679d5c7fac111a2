"""These tests check that a redelivery by Slack, with the same event id, acts once, live and after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.flow.house import says
from tests.flow.slack_bot import App, open_app
from tests.flow.soundness import check_sessions
from tests.platforms.slack_server import BOB, DM, GENERAL


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with open_app(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def say_something(app: App) -> None:
    app.slack.post("Hello")
    await app.settled()


async def mention_the_bot(app: App) -> None:
    app.slack.mention("Hello")
    await app.settled()


async def answer_in_a_thread_and_to_the_channel(app: App) -> None:
    root = app.slack.mention("Hello")
    await app.settled()
    app.slack.post("For all to see", channel=GENERAL, thread=root, broadcast=True)
    await app.settled(2)


async def change_twice(app: App) -> None:
    ts = app.slack.post("Hello")
    await app.settled()
    for count, text in enumerate(("Hello?", "Hello!"), 1):
        app.slack.post_edit(ts, text)
        await app.until(lambda count=count: len(app.records("edit")) == count)  # type: ignore[misc]


async def take_back(app: App) -> None:
    ts = app.slack.post("Hello")
    await app.settled()
    app.slack.post_delete(ts)
    await app.until(lambda: len(app.records("delete")) == 1)


async def take_back_a_root(app: App) -> None:
    root = app.slack.mention("Hello")
    await app.settled()
    app.slack.post_delete(root, channel=GENERAL)
    await app.until(lambda: len(app.records("delete")) == 1)


async def command_behind_a_bang(app: App) -> None:
    app.slack.post("!status")
    await app.settled()


async def command_by_a_slash(app: App) -> None:
    app.slack.command("/agentd", "status")
    await app.settled()


async def talk_to_the_assistant(app: App) -> None:
    thread = app.slack.open_assistant()
    app.slack.post("How do I bake bread?", thread=thread)
    await app.settled()
    await app.until(lambda: bool(app.slack.assistant.titles))


def deliver_all_again(app: App) -> None:
    for delivery in list(app.slack.deliveries.all):
        app.slack.deliveries.offer(delivery.kind, delivery.payload)


@pytest.mark.parametrize(
    "act",
    [
        say_something,
        mention_the_bot,
        answer_in_a_thread_and_to_the_channel,
        change_twice,
        take_back,
        take_back_a_root,
        command_behind_a_bang,
        command_by_a_slash,
        talk_to_the_assistant,
    ],
)
async def test_each_kind_of_event_that_comes_again_acts_once_also_after_a_restart(
    app: App, act: Callable[[App], Awaitable[None]]
) -> None:
    kinds = ("user", "command", "edit", "delete", "delivery", "reset")
    async with app.run():
        await app.hears()
        await act(app)
        await app.until(lambda: app.is_taken)
        before = {kind: len(app.records(kind)) for kind in kinds}
        deliver_all_again(app)
        await app.until(lambda: app.is_taken)
    async with app.run():
        await app.hears()
        deliver_all_again(app)
        await app.until(lambda: app.is_taken)
        app.slack.post("The last word", author=BOB)
        await app.shows("You said: The last word", app.slack.dm_of(BOB))

    expected = {**before, "user": before["user"] + 1, "delivery": before["delivery"] + 1}
    assert {kind: len(app.records(kind)) for kind in kinds} == expected
    assert len(app.slack.screen(None)) == before["delivery"] + 1


async def test_an_assistant_thread_that_is_said_to_be_opened_once_more_keeps_its_title(app: App) -> None:
    async with app.run():
        await app.hears()
        opening = len(app.slack.deliveries.all)
        thread = app.slack.open_assistant()
        app.slack.post("How do I bake bread?", thread=thread)
        await app.settled()
        await app.until(lambda: bool(app.slack.assistant.titles))
        for delivery in app.slack.deliveries.all[opening : opening + 2]:
            app.slack.deliveries.offer(delivery.kind, delivery.payload)
        await app.until(lambda: app.is_taken)
        app.slack.post("And rolls?", thread=thread)
        await app.settled(2)
    async with app.run():
        await app.hears()
        deliver_all_again(app)
        await app.until(lambda: app.is_taken)
        app.slack.post("And cake?", thread=thread)
        await app.settled(3)
    titles = [params["title"] for method, params in app.slack.calls if method == "assistant.threads.setTitle"]

    assert titles == ["How do I bake bread?"]


async def test_a_stranger_is_shown_one_code_however_often_the_message_comes(app: App) -> None:
    async with app.run(allowed="[]"):
        await app.hears()
        app.slack.post("Let me in")
        await app.shows("Your code is")
        deliver_all_again(app)
        await app.until(lambda: app.is_taken)

    assert len(app.slack.screen()) == 1


async def test_a_message_that_was_changed_before_it_comes_again_keeps_its_new_words(app: App) -> None:
    app.model.enqueue(says("I see."))
    async with app.run():
        await app.hears()
        ts = app.slack.post("I am from Pris")
        await app.settled()
        said = next(delivery for delivery in app.slack.deliveries.all if delivery.event.get("ts") == ts)
        app.slack.post_edit(ts, "I am from Paris")
        await app.until(lambda: bool(app.records("edit")))
        app.slack.deliveries.offer(said.kind, said.payload)
        await app.until(lambda: app.is_taken)
        app.slack.post("Where am I from?")
        await app.settled(2)

    assert "I am from Paris" in str(app.model.requests[-1].body.messages)
    assert len(app.records("user")) == 2
    assert app.slack.screen(DM)[0].seen == "I see."


async def not_taken(app: App, text: str) -> tuple[str, dict[str, object]]:
    """Let Ada write something whose event is lost on its way; return its ts, and what comes again."""
    ts = app.slack.post(text, unheard=True)
    return ts, app.slack.history.as_event(app.slack.messages[DM, ts])


async def test_a_message_that_was_taken_back_before_it_could_be_taken_is_not_answered_when_it_comes(app: App) -> None:
    async with app.run():
        await app.hears()
        ts, event = await not_taken(app, "Forget that")
        app.slack.post_delete(ts)
        await app.until(lambda: app.is_taken)
        app.slack.push(event)
        app.slack.post("Hello")
        await app.settled()
        await app.until(lambda: app.is_taken)

    assert app.asked() == ["Hello"]
    assert app.channel is not None
    assert app.channel.health.counts["taken back"] == 1


async def test_a_message_that_was_changed_before_it_could_be_taken_comes_with_its_new_words(app: App) -> None:
    async with app.run():
        await app.hears()
        ts, event = await not_taken(app, "I am from Pris")
        for text in ("I am from Parsi", "I am from Paris"):
            app.slack.post_edit(ts, text)
        await app.until(lambda: app.is_taken)
        app.slack.push(event)
        await app.settled()

    assert app.asked() == ["I am from Paris"]
