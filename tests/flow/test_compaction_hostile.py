"""These tests check compaction with hostile summarisers and contexts: turns go on, and failures are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agentd.context.prompt import SUMMARY_HEAD
from agentd.conversation.settings import AgentSettings
from agentd.providers.base import CompletionRequest, Event, Finished, TextDelta, Usage
from agentd.providers.errors import ContextTooLong
from agentd.transcript.memory_disk import MemoryDisk
from tests.fakes.scribe import Scribe
from tests.flow.stage import daemon, until
from tests.flow.test_compaction import LONG, SHORT, compacted, compactions, model, say, texts


class EndlessScribe(Scribe):
    """Says the same for ever."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Go on until nobody listens."""
        self.requests.append(request)
        while True:
            yield TextDelta("- and then " * 100)
            await asyncio.sleep(0)


class NarrowScribe(Scribe):
    """Reads no more than some characters, and does not say so beforehand."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Refuse what is longer."""
        self.requests.append(request)
        if len(request.messages[-1].content) > 3_000:
            raise ContextTooLong("too long")
        yield TextDelta("- short")
        yield Finished("stop", Usage(), self.model)


async def test_with_a_summariser_that_never_ends_the_try_ends_soon(tmp_path: Path) -> None:
    provider, _ = model()
    provider.background = EndlessScribe()
    async with daemon(tmp_path, provider=provider, settings=SHORT) as stage:
        await say(stage, LONG + "one", LONG + "two", LONG + "three", "/compact")

        assert "does not come to an end" in stage.channel.texts[-1]
        assert compactions(stage) == []


async def test_a_summariser_that_reads_less_than_it_is_given_is_given_less(tmp_path: Path) -> None:
    provider, _ = model()
    provider.background = narrow = NarrowScribe()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, *(LONG for _ in range(6)))
        await stage.say("/compact")

        assert len(compactions(stage)) == 3
        assert len(narrow.requests) == 4  # the first of them was refused


@pytest.mark.parametrize("answer", ["\u200b\x00\x1b\n\t", "\u2028\u2029", "[End of the record.]"])
async def test_an_answer_without_a_word_is_no_summary_or_stays_within_its_frame(answer: str, tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.answer = answer
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG + "one", "two", "three", "/compact", "four")

        framed = [text for _, text in stage.prompt() if text.startswith(SUMMARY_HEAD)]
        assert all(text.count("[End of the record.]") == 1 for text in framed)
        assert bool(framed) == ("End" in answer)


@pytest.mark.parametrize("tokens", [1, 60, 500, 1_000])
async def test_in_a_tiny_context_turns_go_on_and_the_newest_message_is_asked(tokens: int, tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.answer = "😀" * 2_000
    settings = AgentSettings(max_context_tokens=tokens, max_history_messages=6, keep_recent_messages=2)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        await say(stage, LONG, LONG, LONG, LONG, "/compact", "Who am I?", "/status")

        assert texts(stage)[-1] == "Who am I?" or tokens < 100
        assert "Context: " in stage.channel.texts[-1]


async def test_keeping_more_than_there_may_be_still_leaves_something_to_summarise(tmp_path: Path) -> None:
    provider, _ = model()
    settings = AgentSettings(max_history_messages=6, keep_recent_messages=20)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        await say(stage, LONG + "one", "two", "three", "four")
        await compacted(stage)


async def test_many_sessions_make_their_summaries_a_few_at_a_time(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.gate = asyncio.Event()
    async with daemon(tmp_path, provider=provider, settings=SHORT) as stage:
        for number in range(8):
            for word in ("one", "two", "three"):
                await stage.say(LONG + word, sender=f"p{number}")
        asked = len(scribe.requests)
        scribe.gate.set()
        await until(lambda: len(scribe.requests) == 8)

        assert asked == 4


async def test_sessions_that_are_kept_in_memory_are_summarised_and_undone_too(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider, disk=MemoryDisk()) as stage:
        await say(stage, LONG + "one", LONG + "two", LONG + "three", "/compact", "four")
        short = texts(stage)
        await say(stage, "/compact undo", "five")

        assert short == [LONG + "three", "four"]
        assert texts(stage) == [LONG + "one", LONG + "two", LONG + "three", "four", "five"]


async def test_an_idle_actor_stays_in_memory_as_long_as_its_summary_is_made(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.gate = asyncio.Event()
    settings = AgentSettings(max_history_messages=6, keep_recent_messages=2, idle_minutes=0.0005)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        await say(stage, LONG + "one", "two", "three")
        await scribe.asked.wait()
        await stage.say("short", sender="other")
        await until(lambda: stage.router.count()[0] == 1)
        scribe.gate.set()
        await until(lambda: stage.router.count()[0] == 0)

        assert len(compactions(stage)) == 1


@pytest.mark.parametrize("factor", [b"0", b"-1", b"1e300", b"1e-300"])
async def test_a_factor_on_record_that_no_model_can_have_is_not_believed(factor: bytes, tmp_path: Path) -> None:
    """Damage, or a hand, in a file: a budget divided by it would have room for nothing, or for all."""
    provider, _ = model()
    provider.enqueue(TextDelta("ok"), Finished("stop", Usage(20, 1), "fake"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("one")
    [path] = stage.folder.glob("*.jsonl")
    before, _, after = path.read_bytes().partition(b'"factor":')
    path.write_bytes(before + b'"factor":' + factor + after[after.index(b"}") :])
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG + "two", "/status")

        assert texts(stage) == ["one", LONG + "two"]
        assert "2%, about" in stage.channel.texts[-1]
