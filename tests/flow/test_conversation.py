"""These tests play conversations: messages go in, and the screen and the files are checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from agentd.conversation.settings import AgentSettings
from agentd.providers.base import CompletionRequest, Event, Finished, Restarted, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderRefused
from tests.fakes.channel import FakeChannel
from tests.fakes.provider import FakeProvider
from tests.flow.stage import daemon


async def test_a_message_is_answered_and_every_step_is_on_record(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("Hello "), TextDelta("Ada."), Finished("stop", Usage(12, 3), "fake-1"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("Hi", message_id="42")

        assert stage.channel.texts == ["Hello Ada."]
        assert stage.kinds() == ["session", "user", "assistant", "draft", "draft", "delivery"]
        user, answer, sending, sent, delivery = stage.records()[1:]
        assert user["source"]["message_id"] == "42"
        assert user["source"]["author"] == {"id": "ada", "name": "Ada"}
        assert (sending["state"], sent["state"], sent["message_id"]) == ("sending", "sent", "m0")
        assert answer["answers"] == [user["seq"]]
        assert (answer["outcome"], answer["model"]) == ("complete", "fake-1")
        factor = answer["usage"].pop("factor")
        assert answer["usage"] == {"input_tokens": 12, "output_tokens": 3}
        assert 0.7 < factor < 1.1  # 12 tokens are fewer than were estimated
        assert answer["trace"] == user["trace"]
        assert (delivery["of"], delivery["message_ids"], delivery["state"]) == (answer["seq"], ["m0"], "sent")


async def test_the_next_turn_and_the_next_run_know_what_was_said(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("Hello Ada."))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("My name is Ada.")
        await stage.say("And yours?")

    async with daemon(tmp_path) as stage:
        await stage.say("What is my name?")

        assert stage.prompt() == [
            ("system", "You are a helpful assistant."),
            ("user", "My name is Ada."),
            ("assistant", "Hello Ada."),
            ("user", "And yours?"),
            ("assistant", "ok"),
            ("user", "What is my name?"),
        ]


async def test_a_redelivered_message_is_not_answered_again_also_in_a_later_run(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("Hi", message_id="7")
        await stage.say("Hi", message_id="7")
    async with daemon(tmp_path) as stage:
        await stage.say("Hi", message_id="7")

        assert stage.provider.requests == []
        assert stage.kinds().count("user") == 1


async def test_two_deliveries_of_one_message_at_once_are_one_message(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(stage.say("Hi", message_id="7"))

        assert stage.kinds().count("user") == 1
        assert len(stage.provider.requests) == 1


async def test_people_and_chats_do_not_mix(tmp_path: Path) -> None:
    """Once: one person's private chat and two groups were one session."""
    async with daemon(tmp_path) as stage:
        await stage.say("I am Ada, in private")
        await stage.say("I am Ada, in a group", chat="group")
        await stage.say("I am Bob, in a group", chat="group", sender="bob")

        assert [len(request.messages) for request in stage.provider.requests] == [2, 2, 2]
        assert len(list(stage.folder.glob("*.jsonl"))) == 3


async def test_messages_that_come_while_a_turn_runs_are_answered_together_after_it(tmp_path: Path) -> None:
    """Once: two workers of one sender interleaved turns."""
    gate = asyncio.Event()
    provider = FakeProvider()
    provider.enqueue(TextDelta("first"), gate)
    provider.enqueue(TextDelta("both"))
    async with daemon(tmp_path, provider=provider) as stage:
        first = await stage.post("one")
        await stage.channel.shows("first")
        await stage.post("two")
        last = await stage.post("three")
        gate.set()
        await first.settled()
        await last.settled()

        assert stage.channel.texts == ["first", "both"]
        assert stage.prompt()[-3:] == [("user", "one"), ("assistant", "first"), ("user", "two\n\nthree")]


async def test_a_message_before_the_first_visible_piece_joins_and_the_request_starts_anew(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    provider.enqueue(TextDelta("both"))
    settings = AgentSettings(collect_window_ms=60_000)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        first = await stage.post("one")
        await provider.asked.wait()
        await stage.post("two")
        await first.settled()

        assert stage.channel.texts == ["both"]
        assert stage.prompt()[-1] == ("user", "one\n\ntwo")
        assert stage.records()[-2]["answers"] == [1, 2]


class Clinging(asyncio.Event):
    """Never comes, and takes a while to be left when that is cut off."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        super().__init__()
        self.is_cut = asyncio.Event()
        self.let_go = asyncio.Event()

    async def wait(self) -> Literal[True]:
        """Wait in vain; once cut off, until `let_go` is set."""
        try:
            return await super().wait()
        except asyncio.CancelledError:
            self.is_cut.set()
            await self.let_go.wait()
            raise


async def test_a_message_joins_while_the_request_is_still_ending_for_the_one_before(tmp_path: Path) -> None:
    ending = Clinging()
    provider = FakeProvider()
    provider.enqueue(ending)
    provider.enqueue(TextDelta("all"))
    settings = AgentSettings(collect_window_ms=60_000)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        first = await stage.post("one")
        await provider.asked.wait()
        await stage.post("two")
        await ending.is_cut.wait()
        await stage.post("three")
        ending.let_go.set()
        await first.settled()

        assert stage.channel.texts == ["all"]
        assert stage.prompt()[-1] == ("user", "one\n\ntwo\n\nthree")


async def test_followup_answers_each_message_by_itself(tmp_path: Path) -> None:
    gate = asyncio.Event()
    provider = FakeProvider()
    provider.enqueue(gate, TextDelta("1"))
    provider.enqueue(TextDelta("2"))
    provider.enqueue(TextDelta("3"))
    async with daemon(tmp_path, provider=provider, settings=AgentSettings(when_busy="followup")) as stage:
        await stage.post("one")
        await stage.post("two")
        last = await stage.post("three")
        gate.set()
        await last.settled()

        assert stage.channel.texts == ["1", "2", "3"]


async def test_interrupt_makes_the_running_message_part_of_the_next_answer(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("I was say"), asyncio.Event())
    provider.enqueue(TextDelta("both"))
    async with daemon(tmp_path, provider=provider, settings=AgentSettings(when_busy="interrupt")) as stage:
        first = await stage.post("one")
        await stage.channel.shows("I was say")
        await stage.post("two")
        await first.settled()

        assert stage.channel.texts == ["both"]
        assert stage.prompt()[-1] == ("user", "one\n\ntwo")


async def test_a_broken_provider_is_a_sentence_with_the_trace_and_the_session_goes_on(tmp_path: Path) -> None:
    """Once: a failed turn was rolled back in memory only, came back and was continued."""
    provider = FakeProvider()
    provider.enqueue(ProviderRefused("The model's server refused the key: set provider.api_key."))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
        failure = stage.records()[2]

        assert stage.channel.texts == [
            f"The model's server refused the key: set provider.api_key. (trace {failure['trace']})"
        ]
        assert (failure["reason"], failure["answers"], failure["told"]) == ("provider", [1], True)

    async with daemon(tmp_path) as stage:
        await stage.say("two")

        assert stage.prompt()[1:] == [
            ("user", "one"),
            ("assistant", "[No reply was given: provider.]"),
            ("user", "two"),
        ]


async def test_a_bug_in_a_turn_is_told_and_the_session_goes_on(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(ZeroDivisionError("a bug"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
        await stage.say("two")

        assert stage.channel.texts[0].startswith("Something went wrong on my side")
        assert stage.channel.texts[1] == "ok"


async def test_a_reply_that_breaks_off_keeps_what_was_shown_and_says_so(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("The answer is"), ProviderRefused("The connection broke."))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
        await stage.say("two")

        assert stage.channel.texts[0].startswith("The answer is\n[This reply broke off. The connection broke.")
        assert stage.prompt()[2] == ("assistant", "The answer is\n[This reply was cut short.]")


async def test_a_reply_that_starts_again_replaces_what_was_shown(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("The ans"), Restarted(), TextDelta("Forty-two."))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")

        assert stage.channel.texts == ["Forty-two."]


async def test_an_empty_answer_says_so(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta(" \n"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")

        assert stage.channel.texts[0].startswith("The model answered with nothing.")
        assert stage.records()[2]["reason"] == "empty"


async def test_a_prompt_that_is_too_long_is_shortened_once_and_asked_again(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(ContextTooLong("too long"))
    provider.enqueue(TextDelta("short"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one " * 40_000)

        assert stage.channel.texts == ["short"]
        assert len(stage.prompt(1)[-1][1]) < len(stage.prompt(0)[-1][1]) * 0.6


async def test_a_prompt_found_too_long_in_the_middle_of_a_reply_starts_the_reply_again(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("half of "), ContextTooLong("too long"))
    provider.enqueue(TextDelta("whole answer"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")

        assert stage.channel.texts == ["whole answer"]


async def test_a_full_batch_is_not_asked_again_for_messages_that_it_cannot_take(tmp_path: Path) -> None:
    gate = asyncio.Event()
    provider = FakeProvider()
    for _ in range(3):
        provider.enqueue(gate, TextDelta("ok"))
    settings = AgentSettings(collect_window_ms=60_000, mailbox_size=2)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        for text in ("one", "two"):
            provider.asked.clear()
            await stage.post(text)
            await provider.asked.wait()
        last = await stage.post("three")
        gate.set()
        await last.settled()

        assert [stage.prompt(number)[-1][1] for number in range(3)] == ["one", "one\n\ntwo", "three"]


async def test_a_turn_that_takes_too_long_is_ended_and_told(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider, settings=AgentSettings(turn_timeout_seconds=0.05)) as stage:
        await stage.say("one")

        assert stage.channel.texts[0].startswith("The model took too long")
        assert provider.closed == 1


class EndsBadly(FakeProvider):
    """A provider with a bug in how it ends."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Play the next reply, and fail at the end of listening."""
        try:
            async for event in super().stream(request):
                yield event
        finally:
            raise RuntimeError("a bug")


async def test_a_whole_reply_is_shown_as_it_is_on_record_however_its_stream_ends(tmp_path: Path) -> None:
    async with daemon(tmp_path, provider=EndsBadly()) as stage:
        await stage.say("one")

        assert stage.channel.texts == ["ok"]
        assert [record["outcome"] for record in stage.records() if "outcome" in record] == ["complete"]


async def test_a_message_of_one_megabyte_is_kept_whole_and_cut_visibly_for_the_model(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("wörd " * 200_000)

        assert len(stage.records()[1]["content"]) == 1_000_000
        assert "characters left out" in stage.prompt()[-1][1]
        assert stage.channel.texts == ["ok"]


async def test_old_messages_found_after_a_pause_are_told_not_answered(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("what about lunch?", age=timedelta(hours=3))

        assert stage.provider.requests == []
        assert "what about lunch?" in stage.channel.texts[0]
        assert stage.records()[2]["reason"] == "stale"


async def test_a_platform_that_refuses_the_reply_is_on_record_and_does_not_stop_the_session(tmp_path: Path) -> None:
    channel = FakeChannel()
    channel.refuses = True
    async with daemon(tmp_path, channel=channel) as stage:
        await stage.say("one")
        channel.refuses = False
        await stage.say("two")

        assert [record["state"] for record in stage.records() if record["type"] == "delivery"] == ["failed", "sent"]
        assert channel.texts == ["ok"]


@pytest.mark.parametrize("streams", [True, False])
async def test_a_reply_that_cannot_be_sent_now_is_sent_before_the_next(tmp_path: Path, streams: bool) -> None:
    channel, provider = FakeChannel(streams=streams), FakeProvider()
    channel.gone = True
    async with daemon(tmp_path, channel=channel, provider=provider) as stage:
        await stage.say("one")
        channel.gone = False
        provider.enqueue(TextDelta("second"))
        await stage.say("two")

        assert [text.splitlines()[-1] for text in channel.texts] == ["ok", "second"]
        assert [record["state"] for record in stage.records() if record["type"] == "delivery"] == ["uncertain", "sent"]


async def test_a_reply_that_could_not_be_sent_is_sent_by_the_next_run(tmp_path: Path) -> None:
    channel = FakeChannel()
    channel.gone = True
    async with daemon(tmp_path, channel=channel) as stage:
        await stage.say("one")
    async with daemon(tmp_path) as stage:
        assert stage.channel.texts[0].endswith("ok")
        assert stage.provider.requests == []


@pytest.mark.parametrize("streams", [True, False])
async def test_nothing_is_edited_with_unchanged_text(tmp_path: Path, streams: bool) -> None:
    channel = FakeChannel(streams=streams)
    async with daemon(tmp_path, channel=channel) as stage:
        await stage.say("one")

        assert [(sent.text, sent.edits) for sent in channel.sent] == [("ok", 0)]


async def test_what_a_model_counts_is_learnt_of_the_model_that_is_asked_not_of_the_one_before(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        for model in ("the first", "the second"):
            stage.provider.model = model
            stage.provider.enqueue(TextDelta("ok"), Finished("stop", Usage(input_tokens=40), model))
            await stage.say(f"A question for {model}, of some length")

    assert sorted(stage.provider.calibration.take_changed()) == ["the first", "the second"]
