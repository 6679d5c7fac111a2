"""These tests check that commands are recorded before they act, obeyed at once, and settled by their answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agentd.conversation.settings import AgentSettings
from agentd.providers.base import TextDelta
from agentd.providers.errors import ProviderRefused
from channels.base import Address
from channels.errors import Unreachable
from channels.markup.rich import RichText
from tests.fakes.channel import FakeChannel
from tests.fakes.provider import FakeProvider
from tests.flow.stage import daemon, until


async def test_new_forgets_for_the_prompt_and_stays_forgotten_after_a_restart(tmp_path: Path) -> None:
    """Once: `/new` forgot in memory only, and the old conversation came back."""
    async with daemon(tmp_path) as stage:
        await stage.say("my secret plan")
        await stage.say("/new")
        await stage.say("hello")
    async with daemon(tmp_path) as stage:
        await stage.say("again")

        assert stage.prompt()[1:] == [("user", "hello"), ("assistant", "ok"), ("user", "again")]
        assert "my secret plan" in (stage.folder / "fake~bot~dm~~ada.jsonl").read_text("utf-8")


async def test_a_command_is_recorded_before_it_acts_and_its_answer_has_a_receipt(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("/new")

        assert stage.kinds() == ["session", "command", "reset", "draft", "draft", "delivery"]
        assert stage.records()[-1]["of"] == 1
        assert stage.channel.texts == ["A new conversation. What was said before stays on disk."]


async def test_text_behind_new_is_not_dropped_in_silence(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("/new What about lunch?")

        assert stage.channel.texts[0].endswith("was not taken as a message: send it by itself.")


async def test_a_redelivered_command_does_not_act_again(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("/new", message_id="9")
        await stage.say("hello")
        await stage.say("/new", message_id="9")

        assert stage.kinds().count("reset") == 1


async def test_stop_before_the_first_word_is_a_failure_and_one_answer(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider) as stage:
        first = await stage.post("one")
        await provider.asked.wait()
        await stage.say("/stop")
        await first.settled()

        assert stage.channel.texts == ["Stopped."]
        assert next(r for r in stage.records() if r["type"] == "failure")["reason"] == "stopped"
        assert {r["of"] for r in stage.records() if r["type"] == "delivery"} == {2, 3}


async def test_stop_in_the_middle_keeps_what_was_said(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("Once upon a time"), asyncio.Event())
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.post("tell me a story")
        await stage.channel.shows("Once upon")
        await stage.say("/stop")
        await stage.say("go on")

        assert stage.channel.texts == ["Once upon a time\n[stopped]", "ok"]
        assert stage.prompt()[2] == ("assistant", "Once upon a time\n[This reply was cut short.]")


async def test_stop_without_a_reply_says_so(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("/stop")

        assert stage.channel.texts == ["There is no reply to stop."]


async def test_new_during_a_turn_settles_it_first_and_then_resets(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider) as stage:
        first = await stage.post("one")
        await provider.asked.wait()
        await stage.say("/new")
        await first.settled()
        await stage.say("two")

        kinds = stage.kinds()
        assert kinds.index("failure") < kinds.index("reset")
        assert stage.channel.texts[0].endswith("The reply that was under way is stopped.")
        assert stage.prompt()[1:] == [("user", "two")]


async def test_status_while_a_reply_is_being_made_answers_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    provider = FakeProvider()
    provider.enqueue(gate)
    async with daemon(tmp_path, provider=provider) as stage:
        first = await stage.post("one")
        await provider.asked.wait()
        await stage.say("/status")
        shown = list(stage.channel.texts)
        gate.set()
        await first.settled()

        assert "Model: fake" in shown[0]
        assert "1 message waiting" in shown[0]


class SlowToHelp(FakeChannel):
    """A platform that takes its time over the answer to `/help`."""

    def __init__(self) -> None:
        """Hold the answer until `gate` is set."""
        super().__init__()
        self.entered, self.gate = asyncio.Event(), asyncio.Event()

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Wait before sending a list of commands."""
        if text.text.startswith("/new"):
            self.entered.set()
            await self.gate.wait()
        return await super().send(to, text, nonce)


@pytest.mark.parametrize("command", ["/new", "/stop"])
async def test_a_command_ends_what_came_before_it_and_nothing_that_came_after(tmp_path: Path, command: str) -> None:
    provider, channel = FakeProvider(), SlowToHelp()
    provider.enqueue(asyncio.Event())
    settings = AgentSettings(collect_window_ms=60_000)
    async with daemon(tmp_path, provider=provider, channel=channel, settings=settings) as stage:
        await stage.post("before")
        await provider.asked.wait()
        await stage.post("/help")
        await channel.entered.wait()
        await stage.post(command)
        after = await stage.post("after")
        channel.gate.set()
        await after.settled()

        assert stage.prompt()[-1] == ("user", "after")
        assert channel.texts[-1] == "ok"


class OneBlip(FakeChannel):
    """A platform that is out of reach for exactly one edit, once the test says so."""

    blip = False

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Refuse once."""
        if self.blip:
            self.blip = False
            raise Unreachable("out of reach")
        await super().edit(to, message_id, text)


@pytest.mark.parametrize("command", ["/stop", "/new"])
async def test_a_reply_that_could_not_be_sent_is_sent_before_the_next_turn(tmp_path: Path, command: str) -> None:
    provider, channel = FakeProvider(), OneBlip()
    provider.enqueue(TextDelta("Half an answer"), asyncio.Event())
    async with daemon(tmp_path, provider=provider, channel=channel) as stage:
        await stage.post("one")
        await channel.shows("Half")
        channel.blip = True
        await stage.post(command)
        await until(lambda: not channel.blip)
        await stage.say("two")
        records = stage.records()

    replies = [record["seq"] for record in records if record.get("role") == "assistant"]
    delivered = [record["of"] for record in records if record["type"] == "delivery"]
    assert channel.texts[0].startswith("Half an answer\n")
    assert [seq for seq in delivered if seq in replies] == replies


async def test_a_reply_that_could_not_be_sent_is_sent_as_soon_as_the_platform_is_back(tmp_path: Path) -> None:
    channel = FakeChannel(streams=False)
    channel.gone = True
    async with daemon(tmp_path, channel=channel) as stage:
        await stage.say("one")
        channel.gone = False
        await channel.shows("ok")

        assert stage.kinds()[:4] == ["session", "user", "assistant", "draft"]
    assert (stage.records()[-1]["type"], stage.records()[-1]["state"]) == ("delivery", "uncertain")


async def test_a_stop_that_a_crash_cut_ends_what_it_was_to_end_and_does_not_let_it_be_made(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider, drain_seconds=0.01) as stage:
        await stage.post("one")
        await provider.asked.wait()
        first = stage.records()[1]
    stop = {"type": "command", "seq": 2, "name": "stop", "source": {**first["source"], "message_id": "s"}}
    with (stage.folder / "fake~bot~dm~~ada.jsonl").open("a") as file:
        file.write(json.dumps({**stop, "ts": first["ts"]}) + "\n")
    async with daemon(tmp_path) as stage:
        assert stage.provider.requests == []
        assert stage.channel.texts == ["Stopped."]


@pytest.mark.parametrize("text", ["/nosuch", "/help", "/HELP", "/help@some_bot"])
async def test_help_and_unknown_commands_list_what_exists_without_asking_the_model(tmp_path: Path, text: str) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say(text)

        assert all(f"/{name}" in stage.channel.texts[0] for name in ("new", "stop", "status", "help"))
        assert stage.provider.requests == []


@pytest.mark.parametrize("text", ["/etc/hosts is what?", "/", "/ new", "//new", "5 / 2", "/2nd"])
async def test_text_that_only_looks_like_a_command_is_a_message(tmp_path: Path, text: str) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say(text)

        assert stage.prompt()[-1] == ("user", text)


async def test_new_works_when_the_provider_is_broken(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(ProviderRefused("No."))
    async with daemon(tmp_path, provider=provider, channel=FakeChannel(streams=False)) as stage:
        await stage.say("one")
        await stage.say("/new")
        await stage.say("two")

        assert stage.prompt()[1:] == [("user", "two")]


async def test_stop_ends_what_waits_behind_the_running_turn_too(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("first"), asyncio.Event())
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.post("one")
        await stage.channel.shows("first")
        await stage.post("two")
        await stage.say("/stop")
        await stage.say("three")

        assert stage.channel.texts == ["first\n[stopped]", "Stopped.", "ok"]
        assert stage.prompt()[-1] == ("user", "three")


async def test_a_reply_that_was_visible_and_is_overtaken_by_new_says_that_it_is_stopped(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("half of it"), asyncio.Event())
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider, settings=AgentSettings(when_busy="interrupt")) as stage:
        await stage.post("one")
        await stage.channel.shows("half")
        provider.asked.clear()
        await stage.post("two")
        await provider.asked.wait()
        await stage.say("/new")

        assert stage.channel.texts[0] == "Stopped."


async def test_a_stop_waits_until_the_reply_that_it_cut_can_be_shown_before_it_ends_what_waits(tmp_path: Path) -> None:
    provider, channel = FakeProvider(), OneBlip()
    provider.enqueue(TextDelta("Half an answer"), asyncio.Event())
    async with daemon(tmp_path, provider=provider, channel=channel) as stage:
        await stage.post("one")
        await channel.shows("Half")
        await stage.post("two")
        channel.blip = True
        await stage.post("/stop")
        await channel.shows("Stopped.")
        await stage.say("three")
        records = stage.records()

    ends = [r["seq"] for r in records if r.get("role") == "assistant" or r["type"] == "failure"]
    delivered = [r["of"] for r in records if r["type"] == "delivery" and r["of"] in ends]
    assert delivered == ends
    assert channel.texts == ["Half an answer\n[This reply was cut short.]", "Stopped.", "ok"]
