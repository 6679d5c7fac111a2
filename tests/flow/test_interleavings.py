"""These tests check any interleaving of messages, commands, retirement and restarts: each message ends exactly once."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Literal, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentd.conversation.settings import AgentSettings
from agentd.providers.base import TextDelta
from agentd.providers.errors import ProviderRefused
from agentd.transcript.disk import Write
from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.reading import load, load_ids
from agentd.transcript.records import parse_line
from agentd.transcript.settling import is_settled_end
from agentd.transcript.view import fold
from tests.fakes.provider import FakeProvider
from tests.flow.stage import Stage, daemon

Step = Literal[
    "post", "again", "stop", "new", "retry", "edit", "delete", "turn the loop", "retire", "open the gate", "restart"
]
STEPS: tuple[Step, ...] = get_args(Step)


def provider_of(replies: list[int], gate: asyncio.Event) -> FakeProvider:
    """Return a model whose replies wait at different places, fail, or are empty."""
    kinds = [
        (TextDelta("at once"),),
        (gate, TextDelta("late")),
        (TextDelta("half"), gate, TextDelta(" and half")),
        (TextDelta("half"), ProviderRefused("broke")),
        (ProviderRefused("refused"),),
        (),
    ]
    provider = FakeProvider()
    for reply in replies:
        provider.enqueue(*kinds[reply])
    return provider


async def play(workspace: Path, steps: list[Step], replies: list[int], busy: str) -> Stage:
    """Run the steps, restarting where they say so; end with a run that may finish everything."""
    config = AgentSettings.model_validate({"when_busy": busy, "idle_minutes": 1e-9, "collect_window_ms": 60_000})
    posted = 0
    left = list(steps)
    while True:
        gate = asyncio.Event()
        gate.set()  # what an earlier run left is finished before anything else
        provider = provider_of(replies, gate) if left else FakeProvider()
        async with daemon(workspace, provider=provider, settings=config, drain_seconds=0.001 if left else 5) as stage:
            gate.clear()
            while left:
                step = left.pop(0)
                if step == "restart":
                    break
                posted += step == "post"
                await act(stage, step, posted, gate)
            else:
                return stage


async def act(stage: Stage, step: Step, posted: int, gate: asyncio.Event) -> None:
    """Do one step; nothing here waits for an answer."""
    match step:
        case "post" | "again":
            await stage.post(f"message {posted}", message_id=f"id {posted}")
        case "stop" | "new" | "retry":
            await stage.post(f"/{step}")
        case "edit":
            await stage.edit(f"id {posted}", f"message {posted}, mended")
        case "delete":
            await stage.delete(f"id {posted}")
        case "open the gate":
            gate.set()
        case _:
            for _ in range(3 if step == "turn the loop" else 30):
                await asyncio.sleep(0)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(st.sampled_from(STEPS), max_size=25),
    replies=st.lists(st.integers(0, 5), max_size=12),
    busy=st.sampled_from(["collect", "followup", "interrupt"]),
)
def test_each_message_has_exactly_one_end(steps: list[Step], replies: list[int], busy: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        steps = ["post", *steps, "restart"]
        stage = asyncio.run(play(Path(folder), steps, replies, busy))
        records = stage.records()
        content = (stage.folder / "fake~bot~dm~~ada.jsonl").read_bytes()
    assert_that_little_reading_finds_all_that_is_left_to_do(content)

    users = [record["seq"] for record in records if record.get("role") == "user"]
    commands = {record["seq"]: record["name"] for record in records if record["type"] == "command"}
    deleted = {record["of"] for record in records if record["type"] == "delete"}
    endings = [record for record in records if record.get("role") == "assistant" or record["type"] == "failure"]
    ends = Counter(seq for record in endings for seq in record["answers"])
    receipts = Counter(record["of"] for record in records if record["type"] == "delivery")

    assert [record["seq"] for record in records] == list(range(len(records)))
    assert len(
        {record["source"]["message_id"] for record in records if "source" in record and record["type"] == "message"}
    ) == len(users)
    assert {seq: ends[seq] for seq in users if seq not in deleted or ends[seq]} == dict.fromkeys(
        (seq for seq in users if seq not in deleted or ends[seq]), 1
    )
    assert {seq: receipts[seq] + ends[seq] for seq in commands} == dict.fromkeys(commands, 1)
    assert {name for seq, name in commands.items() if ends[seq]} <= {"retry"}
    assert all(receipts[record["seq"]] == 1 for record in endings if record.get("told", True))


def assert_that_little_reading_finds_all_that_is_left_to_do(content: bytes) -> None:
    """Wherever a crash cuts the file: reading back no more text than needed misses nothing unsettled."""
    path, lines = Path("/nowhere/session.jsonl"), content.splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        disk, left = MemoryDisk(), b"".join(lines[:kept])
        disk.commit([Write(path, 0, left)])
        loaded = load(disk, path, len(left), most_characters=0)
        little = loaded.view
        if loaded.older is not None:
            little.seen.join(load_ids(disk, path, loaded.older))
        whole = fold(map(parse_line, lines[:kept]))

        assert (little.pending, little.commands, little.undelivered) == (
            whole.pending,
            whole.commands,
            whole.undelivered,
        )
        assert (little.next_seq, little.acted) == (whole.next_seq, whole.acted)
        # What was deleted before its turn stands where it was deleted, not where it would have been answered.
        ended, all_ended = ([turn for turn in view.turns if turn.end] for view in (little, whole))
        assert ended == all_ended[len(all_ended) - len(ended) :]
        assert little.seen == whole.seen
        for most in (1, 400, 1 << 20):
            _, end = disk.tail(path.parent, path.name, most)
            assert whole.is_idle or not is_settled_end(end, is_whole=len(end) == len(left))
        if kept == len(lines):
            assert is_settled_end(left, is_whole=True)
