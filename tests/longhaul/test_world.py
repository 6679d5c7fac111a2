"""These tests check that a turn's wait for a summary is noticed, and how much simulated time a summary takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from tests.longhaul.daemon import Log, listening_to
from tests.longhaul.model import SYSTEM_PROMPT, Clock, Model
from tests.longhaul.script import Step
from tests.longhaul.vocabulary import Vocabulary
from tests.longhaul.world import World

HELLO = Step(("hello",), think_seconds=60)
SUMMARY_SECONDS = 30


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(lambda text: len(text.split()))


@dataclass
class _Settled:
    done: asyncio.Event

    async def settled(self) -> None:
        await self.done.wait()


@dataclass
class Puppet:
    """A daemon that does as the test says with each message."""

    session: Path
    model: Model
    tasks: asyncio.TaskGroup
    behave: Callable[[Puppet], Awaitable[object]]
    said: list[dict[str, Any]] = field(default_factory=list)
    _written: int = 0

    async def post(self, text: str) -> _Settled:
        """Put a message into the file, and let the test's daemon do its work."""
        self.write({"type": "message", "role": "user", "content": text})
        settled = _Settled(asyncio.Event())
        self.tasks.create_task(self._work(self._written - 1, settled.done), name="work")
        return settled

    async def _work(self, seq: int, done: asyncio.Event) -> None:
        await self.behave(self)
        self.write({"type": "message", "role": "assistant", "content": "r", "answers": [seq]})
        done.set()

    def write(self, record: dict[str, Any]) -> None:
        with self.session.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seq": self._written, **record}) + "\n")
        self._written += 1

    async def ask(self, system: str = SYSTEM_PROMPT) -> dict[str, Any]:
        """Ask the model, and return how it counted."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": "hello"}]
        body = {"model": "m", "messages": messages, "max_tokens": 9, "stream": True}
        async with httpx.AsyncClient(trust_env=False) as client:
            options = {"stream_options": {"include_usage": True}}
            answer = await client.post(f"{self.model.base_url}/chat/completions", json=body | options)
        usage: dict[str, Any] = json.loads(answer.text.split("data: ")[-2])["usage"]
        return usage

    async def summarise(self) -> None:
        """Have a summary made, and put it on record."""
        await self.ask("Summarise this.")
        about = {"covers": [0, 0], "digest": "", "summary": "s", "tokens_before": 2, "tokens_after": 1}
        self.write({"type": "compaction", **about})

    async def begin_summary(self) -> None:
        """Have one made beside everything else, and return when the model has heard of it."""
        count = self.model.count
        self.tasks.create_task(self.summarise(), name="summary")
        while self.model.count == count:  # noqa: ASYNC110 - the puppet shares the event that would tell
            await asyncio.sleep(0.001)


@asynccontextmanager
async def world_of(
    folder: Path,
    vocabulary: Vocabulary,
    behave: Callable[[Puppet], Awaitable[object]],
    *,
    stuck_seconds: float = 0.2,
) -> AsyncIterator[tuple[World, Model, Clock]]:
    log, clock = Log(asyncio.Event()), Clock()
    with listening_to(log):
        async with (
            asyncio.timeout(20),
            Model(vocabulary, clock, SUMMARY_SECONDS, log.changed) as model,
            asyncio.TaskGroup() as tasks,
        ):
            assert isinstance(model, Model)
            puppet = Puppet(folder / "session.jsonl", model, tasks, behave)
            yield World(puppet, model, log, stuck_seconds=stuck_seconds), model, clock
            model.release(all_of_them=True)


async def test_a_turn_that_asks_while_a_summary_is_made_has_not_waited(tmp_path: Path, vocabulary: Vocabulary) -> None:
    async def behave(puppet: Puppet) -> None:
        await puppet.begin_summary()
        await puppet.ask()

    async with world_of(tmp_path, vocabulary, behave, stuck_seconds=1_000) as (world, model, _):
        has_waited = await world.say(HELLO)

        assert not has_waited
        assert model.is_holding
        assert len(world.asked) == 1


async def test_a_turn_that_asks_only_after_the_summary_has_waited(tmp_path: Path, vocabulary: Vocabulary) -> None:
    async def behave(puppet: Puppet) -> None:
        await puppet.summarise()
        await puppet.ask()

    async with world_of(tmp_path, vocabulary, behave) as (world, _, _):
        has_waited = await world.say(HELLO)

        assert has_waited


async def test_a_turn_that_says_that_it_waits_is_taken_at_its_word_and_not_kept_waiting(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    async def behave(puppet: Puppet) -> None:
        await puppet.begin_summary()
        structlog.get_logger().info("compaction_waited")
        await puppet.ask()

    async with world_of(tmp_path, vocabulary, behave, stuck_seconds=1_000) as (world, _, _):
        has_waited = await world.say(HELLO)

        assert has_waited


async def test_a_summary_is_on_record_once_its_time_has_come_and_not_before(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    async with world_of(tmp_path, vocabulary, Puppet.begin_summary) as (world, model, clock):
        await world.say(HELLO)
        clock.advance(SUMMARY_SECONDS - 1)
        await world.rest()

        assert (model.is_holding, world.journal.made) == (True, 0)
        clock.advance(1)
        await world.rest()
        assert (model.is_holding, world.journal.made) == (False, 1)


async def test_a_world_comes_to_rest_when_no_summary_is_being_made(tmp_path: Path, vocabulary: Vocabulary) -> None:
    async with world_of(tmp_path, vocabulary, Puppet.begin_summary) as (world, model, _):
        await world.say(HELLO)
        await world.come_to_rest()

        assert (model.under_way, world.journal.made) == (0, 1)


async def test_the_model_counts_as_the_vocabulary_does(tmp_path: Path, vocabulary: Vocabulary) -> None:
    usages: list[dict[str, Any]] = []

    async def behave(puppet: Puppet) -> None:
        usages.append(await puppet.ask())

    async with world_of(tmp_path, vocabulary, behave) as (world, _, _):
        await world.say(HELLO)

        assert usages[0]["prompt_tokens"] == vocabulary.count(SYSTEM_PROMPT) + 1 + 2 * 4
        assert usages[0]["completion_tokens"] > 0
        assert world.asked[0].tokens == usages[0]["prompt_tokens"] + 9
