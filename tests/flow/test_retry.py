"""These tests check `/retry`: the last message is answered again, and the new answer replaces the old one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from agentd.providers.base import TextDelta
from agentd.providers.errors import ProviderRefused
from tests.fakes.channel import FakeChannel
from tests.fakes.provider import FakeProvider
from tests.flow.stage import daemon

FILE = "sessions/fake~bot~dm~~ada.jsonl"


def replies(*texts: str) -> FakeProvider:
    provider = FakeProvider()
    for text in texts:
        provider.enqueue(TextDelta(text))
    return provider


async def test_the_same_message_is_asked_again_and_the_new_answer_counts(tmp_path: Path) -> None:
    async with daemon(tmp_path, provider=replies("first", "second", "third")) as stage:
        await stage.say("one")
        await stage.say("/retry")
        await stage.say("two")

        assert stage.prompt(1)[1:] == [("user", "one")]
        assert stage.prompt(2)[1:] == [("user", "one"), ("assistant", "second"), ("user", "two")]
        assert stage.channel.texts == ["first", "second", "third"]
        assert [r["answers"] for r in stage.records() if r.get("role") == "assistant"] == [[1], [6], [11]]


async def test_the_new_answer_still_counts_after_a_restart(tmp_path: Path) -> None:
    async with daemon(tmp_path, provider=replies("first", "second")) as stage:
        await stage.say("one")
        await stage.say("/retry")
    async with daemon(tmp_path) as stage:
        await stage.say("two")

        assert stage.prompt()[1:] == [("user", "one"), ("assistant", "second"), ("user", "two")]


async def test_a_message_whose_answer_failed_can_be_retried(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(ProviderRefused("no credit"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
        await stage.say("/retry")
        await stage.say("two")

        assert stage.channel.texts[1:] == ["ok", "ok"]
        assert stage.prompt()[1:] == [("user", "one"), ("assistant", "ok"), ("user", "two")]


async def test_a_retry_that_fails_leaves_the_answer_before(tmp_path: Path) -> None:
    provider = replies("first")
    provider.enqueue(ProviderRefused("no credit"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
        await stage.say("/retry")
        await stage.say("two")

        assert stage.prompt()[1:] == [("user", "one"), ("assistant", "first"), ("user", "two")]


@pytest.mark.parametrize("before", ["/new", "/help"])
async def test_without_a_message_there_is_nothing_to_retry(tmp_path: Path, before: str) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say(before)
        await stage.say("/retry")

        assert stage.provider.requests == []
        assert stage.channel.texts[-1] == "There is no message yet that I could answer once more."


async def test_a_retry_waits_for_its_turn_and_what_comes_after_it_does_too(tmp_path: Path) -> None:
    gate, provider = asyncio.Event(), FakeProvider()
    provider.enqueue(gate, TextDelta("first"))
    provider.enqueue(TextDelta("second"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.post("one")
        await provider.asked.wait()
        await stage.post("/retry")
        last = await stage.post("two")
        gate.set()
        await last.settled()

        assert [stage.prompt(number)[-1] for number in range(3)] == [("user", "one"), ("user", "one"), ("user", "two")]
        assert stage.channel.texts == ["first", "second", "ok"]


async def test_stop_ends_a_retry_and_new_settles_one_that_waits(tmp_path: Path) -> None:
    provider = replies("first")
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
        stage.provider.asked.clear()
        await stage.post("/retry")
        await provider.asked.wait()
        await stage.post("/retry")
        await stage.say("/new")

        assert [r["answers"] for r in stage.records() if r["type"] == "failure"] == [[6], [7]]
        assert stage.channel.texts[-1].startswith("A new conversation.")


async def test_a_retry_that_a_crash_cut_is_answered_by_the_next_run(tmp_path: Path) -> None:
    async with daemon(tmp_path, provider=replies("first", "second")) as stage:
        await stage.say("one")
        await stage.say("/retry")
    path = tmp_path / FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:7]))
    channel = FakeChannel()
    async with daemon(tmp_path, provider=replies("third"), channel=channel) as stage:
        assert stage.prompt()[1:] == [("user", "one")]
        assert channel.texts == ["third"]
        assert stage.records()[-2]["answers"] == [6]


async def test_a_retry_that_waited_too_long_is_told_and_not_obeyed(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("one")
        await stage.say("/retry", age=timedelta(hours=2))

        assert len(stage.provider.requests) == 1
        assert "another answer" in stage.channel.texts[-1]
