"""These tests check that `/compact` and its undo are obeyed once, and that no conversation gets stuck over them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agentd.providers.base import TextDelta
from agentd.providers.errors import ProviderRefused
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Command, Source, encode_line
from channels.base import Receipt
from tests.fakes.channel import FakeChannel
from tests.flow.stage import Stage, daemon, until
from tests.flow.test_compaction import LONG, SHORT, compacted, compactions, model, say, texts


def leave(stage: Stage, args: str = "") -> None:
    """Let a run that is over have put `/compact` on disk as the last thing it did."""
    source = Source(
        chat="dm", message_id="left", sent_at="2026-01-01T12:00:00.000Z", author=Author(id="ada", name="Ada")
    )
    command = Command(seq=len(stage.records()), name="compact", args=args, source=source)
    path = stage.folder / f"{SessionKey('fake', 'bot', 'dm', None, 'ada').file_name}.jsonl"
    with path.open("ab") as file:
        file.write(encode_line(command))


def let_be_pending(stage: Stage) -> None:
    """Take the delivery of the last command off the disk, as if a crash had come before it."""
    path = next(stage.folder.glob("*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    assert b'"delivery"' in lines[-1]
    while b'"draft"' in lines[-2]:
        del lines[-2]
    path.write_bytes(b"".join(lines[:-1]))


async def post_at_once(stage: Stage, *words: str) -> list[Receipt]:
    """Let words arrive so close together that they are on disk before the first is looked at."""
    async with asyncio.TaskGroup() as tasks:
        posting = [tasks.create_task(stage.post(word)) for word in words]
    return [task.result() for task in posting]


async def test_an_undo_right_behind_a_compact_is_obeyed(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG + "one", LONG + "two", LONG + "three")
        both = await post_at_once(stage, "/compact", "/compact undo")
        async with asyncio.timeout(5):
            for receipt in both:
                await receipt.settled()

        made = [record["seq"] for record in compactions(stage)]
        assert made == [record["of"] for record in stage.records() if record["type"] == "undo"]


async def test_an_undo_that_a_crash_cut_is_obeyed_where_a_summary_is_due_at_the_start(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, "one", "two", "three")
    leave(stage, "undo")
    async with asyncio.timeout(9), daemon(tmp_path, provider=provider, settings=SHORT) as stage:
        await stage.say("four")

        assert "no summary to undo" in stage.channel.texts[0]


async def test_a_compact_that_was_done_when_a_crash_came_is_not_done_once_more(tmp_path: Path) -> None:
    provider, scribe = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, *(LONG + word for word in ("one", "two", "three", "four")), "/compact")
    let_be_pending(stage)
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("five")

        assert "summary" in stage.channel.texts[0]
        assert len(compactions(stage)) == len(scribe.requests) == 1


async def test_a_compact_that_a_crash_cut_is_done_by_the_next_run(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, *(LONG + word for word in ("one", "two", "three", "four")))
    leave(stage)
    async with daemon(tmp_path, provider=provider) as stage:
        await compacted(stage)

        assert "2 turns are now part of the summary" in stage.channel.texts[0]


async def test_a_compact_whose_answer_cannot_be_sent_at_once_is_done_once(tmp_path: Path) -> None:
    provider, scribe = model()
    channel = FakeChannel()
    async with daemon(tmp_path, provider=provider, channel=channel) as stage:
        await say(stage, *(LONG + word for word in ("one", "two", "three", "four")))
        scribe.gate = asyncio.Event()
        await stage.post("/compact")
        await scribe.asked.wait()
        channel.gone = True
        channel.called.clear()
        scribe.gate.set()
        await channel.called.wait()
        channel.gone = False
        await until(lambda: "/status shows the room" in stage.channel.texts[-1])

        assert len(compactions(stage)) == len(scribe.requests) == 1


async def test_two_compacts_at_once_make_one_summary(tmp_path: Path) -> None:
    provider, scribe = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, *(LONG + word for word in ("one", "two", "three", "four")))
        both = await post_at_once(stage, "/compact", "/compact")
        for receipt in both:
            await receipt.settled()

        assert len(scribe.requests) == 1


async def test_a_fault_of_an_earlier_try_is_not_told_as_that_of_this_one(tmp_path: Path) -> None:
    provider, scribe = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG + "one", LONG + "two", LONG + "three")
        scribe.answer = ProviderRefused("no credit")
        await stage.say("/compact")
        scribe.gate = asyncio.Event()
        scribe.asked.clear()
        await stage.post("/compact")
        await scribe.asked.wait()
        await stage.say("/compact undo")

        assert "something else came in between" in "\n".join(stage.channel.texts)


async def test_a_message_right_behind_new_can_be_summarised_alone(tmp_path: Path) -> None:
    provider, scribe = model()
    async with daemon(tmp_path, provider=provider) as stage:
        provider.enqueue(TextDelta("ok"), asyncio.Event())
        await stage.post("old")
        await provider.asked.wait()
        new, first = await post_at_once(stage, "/new", LONG + "first")
        await new.settled()
        await first.settled()
        await stage.say(LONG + "second")
        await stage.say("/compact")
        await stage.say("third")

        assert len(compactions(stage)) == len(scribe.requests) == 1
        assert texts(stage) == [LONG + "second", "third"]
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("fourth")

        assert texts(stage) == [LONG + "second", "third", "fourth"]


async def test_a_compact_that_the_end_of_a_run_cut_is_answered_by_the_next_though_a_turn_ended_meanwhile(
    tmp_path: Path,
) -> None:
    provider, scribe = model()
    scribe.gate = asyncio.Event()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG + "one", LONG + "two", LONG + "three")
        await stage.post("/compact")
        await scribe.asked.wait()
        await stage.say("four")
        assert compactions(stage) == []

    again, _ = model()
    async with daemon(tmp_path, provider=again) as stage:
        await until(lambda: len(compactions(stage)) == 1)
        await until(lambda: "turns are now part of the summary" in stage.channel.texts[-1])
