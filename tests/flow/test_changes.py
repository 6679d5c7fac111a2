"""These tests check edits and deletions: before an answer they change what is answered, later only the next prompt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agentd.conversation.obey import CUT_TEXT
from agentd.conversation.settings import AgentSettings
from agentd.providers.base import TextDelta
from channels.base import Address
from channels.markup.rich import RichText
from tests.fakes.channel import FakeChannel
from tests.fakes.provider import FakeProvider
from tests.fakes.turnstile import Turnstile
from tests.flow.remembering import open_house
from tests.flow.stage import ADDRESS, Run, Stage, daemon, rehearsed, until


def busy() -> tuple[FakeProvider, asyncio.Event]:
    """Return a model that is held up in its first reply."""
    gate, provider = asyncio.Event(), FakeProvider()
    provider.enqueue(TextDelta("first"), gate)
    return provider, gate


async def post_behind(stage: Stage, text: str) -> None:
    """Post a message that has to wait for the first one's answer."""
    await stage.post("one", message_id="1")
    await stage.channel.shows("first")
    await stage.post(text, message_id="2")


async def test_the_new_text_of_a_waiting_message_is_what_gets_answered(tmp_path: Path) -> None:
    provider, gate = busy()
    async with daemon(tmp_path, provider=provider) as stage:
        await post_behind(stage, "twp")
        await stage.edit("2", "two")
        gate.set()
        await stage.say("twp", message_id="2")

        assert stage.prompt()[-1] == ("user", "two")
        assert len(provider.requests) == 2


async def test_a_deleted_waiting_message_is_not_answered(tmp_path: Path) -> None:
    provider, gate = busy()
    async with daemon(tmp_path, provider=provider) as stage:
        await post_behind(stage, "two")
        await stage.delete("2")
        gate.set()
        await stage.say("three")

        assert [text for _, text in stage.prompt() if text == "two"] == []
        assert len(provider.requests) == 2


async def test_an_edit_of_an_answered_message_starts_no_turn_and_is_in_the_next_prompt(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("one", message_id="1")
        await stage.edit("1", "uno")
        await stage.say("two")

        assert len(stage.provider.requests) == 2
        assert stage.prompt()[1:] == [("user", "uno"), ("assistant", "ok"), ("user", "two")]


async def test_an_edit_that_comes_again_or_late_is_recorded_once(tmp_path: Path) -> None:
    async with daemon(tmp_path, settings=AgentSettings(idle_minutes=0.0001)) as stage:
        await stage.say("one", message_id="1")
        await stage.edit("1", "three", later=timedelta(seconds=3))
        await stage.edit("1", "three", later=timedelta(seconds=3))
        await stage.edit("1", "two", later=timedelta(seconds=2))
        await stage.delete("1")
        await stage.delete("1")

        assert [r["content"] for r in stage.records() if r["type"] == "edit"] == ["three"]
        assert stage.kinds().count("delete") == 1


async def test_a_change_to_a_message_that_nobody_knows_is_accepted_and_leaves_no_record(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("one")
        before = stage.kinds()
        await stage.edit("nobody's", "boo")

        assert stage.kinds() == before


async def test_a_command_that_waits_is_obeyed_although_it_was_deleted(tmp_path: Path) -> None:
    provider, gate = busy()
    async with daemon(tmp_path, provider=provider) as stage:
        await post_behind(stage, "/retry")
        await stage.delete("2")
        gate.set()
        await stage.say("three")

        assert stage.kinds().count("delete") == 0
        assert stage.channel.texts == ["first", "ok", "ok"]


async def test_a_message_deleted_while_its_turn_is_widened_leaves_the_turn_its_reply(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    settings = AgentSettings(collect_window_ms=60_000)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        await stage.post("one", message_id="1")
        await provider.asked.wait()
        await stage.delete("1")
        await stage.say("two")

        assert stage.prompt()[-1] == ("user", "two")
        assert [r["answers"] for r in stage.records() if r.get("role") == "assistant"] == [[1, 3]]


async def test_two_edits_with_the_same_time_both_count(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("one", message_id="1")
        await stage.edit("1", "two")
        await stage.edit("1", "three")
        await stage.edit("1", "three")

        assert [r["content"] for r in stage.records() if r["type"] == "edit"] == ["two", "three"]


async def test_a_reply_begun_for_a_message_that_is_deleted_before_a_restart_becomes_that_of_the_others(
    tmp_path: Path,
) -> None:
    provider, channel = FakeProvider(), FakeChannel()
    provider.enqueue(asyncio.Event())
    provider.enqueue(TextDelta("partial text"), asyncio.Event())
    settings = AgentSettings(collect_window_ms=60_000)
    async with daemon(tmp_path, provider=provider, channel=channel, settings=settings, drain_seconds=0.01) as stage:
        await stage.post("one", message_id="1")
        await provider.asked.wait()
        await stage.post("two", message_id="2")
        await channel.shows("partial")
        await stage.delete("1")
    async with daemon(tmp_path, channel=channel) as stage:
        assert channel.texts == ["ok"]
        assert stage.prompt()[-1] == ("user", "two")


class LateAnswer(FakeChannel):
    """A platform that shows a draft in ada's chat at once, and answers only after `answer`."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        message_id = await super().send(to, text, nonce)
        if to == ADDRESS and text.text == "partial":
            await self.answer.wait()
        return message_id


@asynccontextmanager
async def queue(workspace: Path) -> AsyncIterator[tuple[Stage, Turnstile, asyncio.Event]]:
    """Start a daemon whose model answers one person at a time, and is held up by somebody else until the event."""
    slots, gate, provider = Turnstile(), asyncio.Event(), FakeProvider()
    async with rehearsed(Run(workspace, provider=provider, slots=slots)) as stage:
        await stage.say("zero", message_id="0")
        provider.asked.clear()
        provider.enqueue(gate, TextDelta("ok"))
        await stage.post("other", chat="elsewhere")
        await provider.asked.wait()
        yield stage, slots, gate


async def test_a_message_deleted_while_its_turn_waits_for_the_model_goes_to_no_model(tmp_path: Path) -> None:
    async with queue(tmp_path) as (stage, slots, gate):
        await stage.post("one", message_id="1")
        await slots.queued.wait()
        await stage.delete("1")
        gate.set()
        await stage.say("two")

        assert len(stage.provider.requests) == 3
        assert "one" not in str(stage.prompt(1)) + str(stage.prompt(2))
        assert "failure" not in stage.kinds()


async def test_the_new_text_of_a_message_whose_turn_waits_for_the_model_is_what_gets_answered(tmp_path: Path) -> None:
    async with queue(tmp_path) as (stage, slots, gate):
        receipt = await stage.post("twp", message_id="1")
        await slots.queued.wait()
        await stage.edit("1", "two")
        gate.set()
        await receipt.settled()

        assert len(stage.provider.requests) == 3
        assert stage.prompt()[-1] == ("user", "two")


async def test_a_retry_that_waits_for_the_model_does_not_repeat_what_was_deleted(tmp_path: Path) -> None:
    async with queue(tmp_path) as (stage, slots, gate):
        receipt = await stage.post("/retry")
        await slots.queued.wait()
        await stage.delete("0")
        gate.set()
        await receipt.settled()

        assert len(stage.provider.requests) == 3
        assert "zero" not in str(stage.prompt())


async def test_an_edited_message_keeps_its_place_among_those_that_wait_for_the_model(tmp_path: Path) -> None:
    async with queue(tmp_path) as (stage, slots, gate):
        receipt = await stage.post("twp", message_id="1")
        await slots.queued.wait()
        slots.queued.clear()
        behind = await stage.post("behind", chat="behind")
        await slots.queued.wait()
        await stage.edit("1", "two")
        gate.set()
        await receipt.settled()
        await behind.settled()

        assert [stage.prompt(number)[-1][1] for number in range(4)] == ["zero", "other", "two", "behind"]


async def test_of_many_deleted_messages_whose_turns_waited_nothing_is_kept(tmp_path: Path) -> None:
    async with queue(tmp_path) as (stage, slots, gate):
        await stage.post("one", message_id="1")
        await slots.queued.wait()
        await stage.delete("1")
        before = stage.kinds()
        gate.set()
        await until(lambda: not slots.locked())

        assert stage.kinds() == before
        assert stage.channel.texts_in("dm") == ["ok"]


async def widened(stage: Stage, slots: Turnstile) -> asyncio.Event:
    """Let ada's first draft be sent, and her second message join while somebody else is answered, until the event."""
    gate, provider = asyncio.Event(), stage.provider
    provider.enqueue(TextDelta("partial"), asyncio.Event())
    provider.enqueue(gate, TextDelta("for another"))
    await stage.post("one", message_id="1")
    await stage.channel.shows("partial")
    await stage.post("other", chat="elsewhere")
    await slots.queued.wait()
    provider.asked.clear()
    slots.queued.clear()
    await stage.post("two", message_id="2")
    await provider.asked.wait()
    await slots.queued.wait()
    return gate


@pytest.mark.parametrize(
    ("gone", "shown"), [("1", ["ok"]), ("2", ["ok"]), ("12", ["Stopped."])], ids=["the first", "the second", "both"]
)
async def test_a_draft_that_was_being_sent_as_messages_were_deleted_does_not_stay_on_the_screen(
    tmp_path: Path, gone: str, shown: list[str]
) -> None:
    slots, channel = Turnstile(), LateAnswer()
    settings = AgentSettings(collect_window_ms=60_000)
    async with rehearsed(Run(tmp_path, channel, settings=settings, slots=slots)) as stage:
        gate = await widened(stage, slots)
        for message_id in gone:
            await stage.delete(message_id)
        gate.set()
        await channel.shows("for another")
        channel.answer.set()
        await stage.say("three")

        assert channel.texts_in("dm") == [*shown, "ok"]


@pytest.mark.parametrize(("change", "asked"), [("edit", "uno\n\ntwo"), ("delete", "two")])
async def test_what_was_changed_while_a_shown_reply_waits_to_be_made_again_is_asked_as_it_reads_then(
    tmp_path: Path, change: str, asked: str
) -> None:
    slots = Turnstile()
    async with rehearsed(Run(tmp_path, settings=AgentSettings(when_busy="interrupt"), slots=slots)) as stage:
        gate = await widened(stage, slots)
        await (stage.edit("1", "uno") if change == "edit" else stage.delete("1"))
        gate.set()
        await stage.channel.shows("ok")

        assert stage.prompt()[-1] == ("user", asked)


@pytest.mark.parametrize(
    ("change", "shown"), [("edit", ["ok"]), ("delete", ["Stopped."]), ("/new", ["Stopped.", CUT_TEXT])]
)
async def test_what_an_earlier_run_showed_does_not_stay_as_it_is_where_its_message_is_changed_or_left_behind(
    tmp_path: Path, change: str, shown: list[str]
) -> None:
    channel, provider = FakeChannel(), FakeProvider()
    provider.enqueue(TextDelta("partial text"), asyncio.Event())
    async with daemon(tmp_path, provider=provider, channel=channel, drain_seconds=0.01) as stage:
        await stage.post("one", message_id="1")
        await channel.shows("partial")
    slots = Turnstile()
    await slots.acquire()
    async with rehearsed(Run(tmp_path, channel, slots=slots, recovers_first=False)) as stage:
        await slots.queued.wait()
        if change == "/new":
            await stage.post("/new")
        else:
            await (stage.edit("1", "uno") if change == "edit" else stage.delete("1"))
        slots.release()
        await channel.shows(shown[-1][:20])

        assert channel.texts == shown


async def test_what_is_forgotten_while_a_turn_waits_for_the_model_is_not_recalled_in_it(tmp_path: Path) -> None:
    slots = Turnstile()
    async with open_house(tmp_path) as house, house.run(slots=slots) as run:
        await run.ask("/remember I am allergic to peanuts")
        await slots.acquire()
        receipt = await run.stage.post("What about peanuts for dinner?")
        await slots.queued.wait()
        await run.ask("/forget 1")
        slots.release()
        await receipt.settled()

    assert "allergic" not in str(run.stage.prompt())
