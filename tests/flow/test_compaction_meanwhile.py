"""These tests check what happens while a summary is made: it stays right or is discarded, and nobody waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from agentd.conversation.settings import AgentSettings
from agentd.providers.base import TextDelta
from agentd.transcript.store import Session
from tests.flow.stage import daemon
from tests.flow.test_compaction import LONG, SHORT, SMALL, compacted, compactions, model, say, texts


async def test_a_deletion_inside_the_range_while_the_summary_is_made_discards_it(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.gate = asyncio.Event()
    async with daemon(tmp_path, provider=provider, settings=SHORT) as stage:
        await stage.say("my secret is 4711", message_id="m1")
        await say(stage, LONG + "two", "three")
        await scribe.asked.wait()
        await stage.delete("m1")
        scribe.gate.set()
        await stage.say("/compact")  # the background's try fails, and this is told
        await stage.say("/compact")

        assert "changed meanwhile" in "\n".join(stage.channel.texts)
        assert "4711" not in scribe.requests[-1].messages[-1].content
        assert len(compactions(stage)) == 1


async def test_what_was_taken_back_while_its_turn_ran_is_in_the_tail_or_covered(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.gate, gate = asyncio.Event(), asyncio.Event()
    async with daemon(tmp_path, provider=provider, settings=SHORT) as stage:
        await say(stage, LONG + "one", "two", "three")
        await scribe.asked.wait()
        provider.enqueue(gate, TextDelta("ok"))
        provider.asked.clear()
        receipt = await stage.post("four", message_id="m4")
        await provider.asked.wait()
        await stage.delete("m4")
        scribe.gate.set()
        await compacted(stage)
        gate.set()
        await receipt.settled()
        await stage.say("five")

        covered = compactions(stage)[-1]["covers"][1]
        seqs = {record["seq"] for record in stage.records() if record.get("role") == "user"}
        assert len([seq for seq in seqs if seq > covered]) == len(texts(stage))


@pytest.mark.parametrize("when_busy", ["collect", "followup", "interrupt"])
async def test_messages_that_wait_while_a_full_turn_waits_for_a_summary_are_all_answered(
    when_busy: Literal["collect", "followup", "interrupt"], tmp_path: Path
) -> None:
    provider, scribe = model()
    scribe.gate = asyncio.Event()
    settings = AgentSettings(max_context_tokens=2_000, max_history_messages=1_000, when_busy=when_busy)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        await say(stage, LONG, LONG)
        receipts = [await stage.post(LONG + "a")]
        await scribe.asked.wait()
        receipts += [await stage.post("b"), await stage.post("c")]
        scribe.gate.set()
        for receipt in receipts:
            await receipt.settled()

        answered = [seq for record in stage.records() if record.get("role") == "assistant" for seq in record["answers"]]
        assert len(answered) == len(set(answered)) == 5
        assert texts(stage)[-1].endswith("c")


async def test_a_stop_ends_a_turn_that_waits_for_a_summary(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.gate = asyncio.Event()
    async with daemon(tmp_path, provider=provider, settings=SMALL) as stage:
        await say(stage, LONG, LONG)
        receipt = await stage.post(LONG + "newest")
        await scribe.asked.wait()
        await stage.say("/stop")
        await receipt.settled()

        assert stage.channel.texts[-1] == "Stopped."


async def test_a_retry_after_a_summary_answers_the_last_turn_again(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG + "one", LONG + "two", LONG + "three", "/compact", "/retry")

        assert texts(stage) == [LONG + "three"]


async def test_messages_come_in_while_the_digest_of_a_long_file_is_reckoned(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider) as stage:
        cover, reckoning, gate = stage.store.cover, asyncio.Event(), asyncio.Event()

        async def slow(session: Session, to: int) -> tuple[int, str]:
            reckoning.set()
            await gate.wait()
            return await cover(session, to)

        stage.store.cover = slow  # type: ignore[method-assign]
        await say(stage, LONG + "one", LONG + "two", LONG + "three")
        asked = await stage.post("/compact")
        await reckoning.wait()
        await stage.say("four")
        gate.set()
        await asked.settled()

        assert len(compactions(stage)) == 1


async def test_an_undo_that_comes_again_undoes_nothing_more(tmp_path: Path) -> None:
    provider, _ = model()
    async with daemon(tmp_path, provider=provider) as stage:
        for _ in range(2):
            await say(stage, LONG, LONG, LONG, LONG, "/compact")
        for _ in range(2):
            await stage.say("/compact undo", message_id="u")
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("/compact undo", message_id="u")

        assert [record["of"] for record in stage.records() if record["type"] == "undo"] == [
            compactions(stage)[-1]["seq"]
        ]
