"""This module runs a year of one conversation with restarts in between, and measures it turn by turn."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from tests.longhaul.daemon import Log, listening_to, open_daemon
from tests.longhaul.facts import Fact, find_facts
from tests.longhaul.journal import Journal
from tests.longhaul.judge import Judge
from tests.longhaul.model import Clock, Model
from tests.longhaul.prompts import Message
from tests.longhaul.script import Step, write_script
from tests.longhaul.tally import Tally
from tests.longhaul.vocabulary import Vocabulary, load_vocabulary
from tests.longhaul.world import World
from tests.simulation.dice import dice

__all__ = ["Plan", "run"]

STEPS_COMPARED = 3
"""How many messages both get, the daemon that was restarted and the one that was not."""

CHECK_EVERY = 1_000
"""After so many turns the whole file is read once more."""

TWIN = "twin"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and how large."""

    turns: int = 20_000
    restarts: int = 50
    context_tokens: int = 32_000
    seed: int = 1
    summary_seconds: float = 20
    """How long the model takes for a summary, in the simulated time."""


@dataclass(slots=True)
class _Haul:
    """What all parts of a run share."""

    plan: Plan
    folder: Path
    tally: Tally = field(default_factory=Tally)
    vocabulary: Vocabulary = field(default_factory=load_vocabulary)
    clock: Clock = field(default_factory=Clock)
    log: Log = field(default_factory=lambda: Log(asyncio.Event()))
    facts: list[Fact] = field(default_factory=list)
    written: int = 0
    """How many messages were."""

    @asynccontextmanager
    async def open(self, folder: Path, name: str = "") -> AsyncIterator[World]:
        """Run a daemon, with a model of its own."""
        model = Model(self.vocabulary, self.clock, self.plan.summary_seconds, self.log.changed)
        tokens, first = self.plan.context_tokens, self.written + 1
        async with (
            model,
            open_daemon(folder, model, self.clock, context_tokens=tokens, first_id=first, name=name) as daemon,
        ):
            yield World(daemon, model, self.log, name)


async def run(plan: Plan, folder: Path) -> Tally:
    """Let the year go by in a folder, and return what was measured."""
    haul = _Haul(plan, folder)
    wall, cpu = time.monotonic(), time.process_time()
    with listening_to(haul.log):
        home = folder / "home"
        home.mkdir()
        async with haul.open(home) as world:
            judge = Judge(haul.tally, world.journal, haul.vocabulary, plan.context_tokens)
            world.judge = judge.take
            await _live(haul, world, judge)
            await world.come_to_rest()
    tally = haul.tally
    tally.wall_ms = (time.monotonic() - wall) * 1000 / max(tally.turns, 1)
    tally.cpu_ms = (time.process_time() - cpu - haul.vocabulary.seconds) * 1000 / max(tally.turns, 1)
    tally.facts_told = len(haul.facts)
    tally.facts_left = len(set(haul.facts) & set(find_facts("\n".join(text for _, text in judge.last))))
    tally.note("log", haul.log.wrongs)
    tally.failed = haul.log.counts["", "compaction_failed"]
    _take_journal(tally, world.journal)
    return tally


def _take_journal(tally: Tally, journal: Journal) -> None:
    journal.read()
    journal.check_bytes()
    tally.made = journal.made
    tally.note("covers", journal.covers_faults)
    tally.note("digest", journal.digest_faults)
    tally.note("size", journal.size_faults)
    tally.note("bytes", journal.byte_faults)
    tally.note("failure", ["a turn has no reply"] * journal.failures)


async def _live(haul: _Haul, world: World, judge: Judge) -> None:
    plan = haul.plan
    restarts = set(_restarts(plan))
    script = write_script(plan.seed, plan.turns, plan.context_tokens, haul.vocabulary.count)
    number = 0
    for step in script:
        if number in restarts:
            together = [step, *islice(script, STEPS_COMPARED - 1)]
            await _restart(haul, world, judge, together)
            number += len(together)
        else:
            await _step(haul, world, judge, step)
            haul.clock.advance(step.think_seconds)
            await world.rest()
            number += 1
        if number % CHECK_EVERY == 0:
            world.journal.check_bytes()


def _restarts(plan: Plan) -> list[int]:
    """Return before which steps, apart from each other, the daemon is restarted."""
    places = range(plan.turns // 10, plan.turns - STEPS_COMPARED, STEPS_COMPARED)
    return dice(plan.seed, "restarts").sample(places, min(plan.restarts, len(places)))


async def _step(haul: _Haul, world: World, judge: Judge, step: Step) -> None:
    has_waited = await world.say(step)
    haul.written += len(step.texts)
    if step.fact is not None:
        haul.facts.append(step.fact)
    if not step.is_command:
        haul.tally.turns += 1
        haul.tally.waited += has_waited
        if has_waited:
            tokens = sum(map(haul.vocabulary.count, step.texts))
            haul.tally.note("waited", [f"turn {haul.tally.turns} of {tokens} tokens waited for a summary"])
        judge.end_step()


async def _restart(haul: _Haul, world: World, judge: Judge, steps: list[Step]) -> None:
    """Give the same messages to this daemon and to one that starts on a copy of its workspace."""
    await world.come_to_rest()
    world.journal.check_bytes()
    folder = haul.folder / TWIN
    shutil.copytree(
        haul.folder / "home" / "workspace", folder / "workspace", ignore=shutil.ignore_patterns("lock", "control.sock")
    )
    haul.tally.restarts += 1
    # Whether messages that are written at once join is a matter of moments: here they are written one by one.
    apart = [replace(step, texts=(text,)) for step in steps for text in step.texts]
    async with haul.open(folder, TWIN) as twin:
        for step in apart:
            await _step(haul, world, judge, step)
            await twin.say(step)
            haul.tally.compare(_last_prompt(world), _last_prompt(twin))
            haul.clock.advance(step.think_seconds)
            await world.come_to_rest()
            await twin.come_to_rest()
    shutil.rmtree(folder)


def _last_prompt(world: World) -> Sequence[Message]:
    """Return what the model was asked last: what it was asked before may have lacked some of the messages."""
    return world.asked[-1].messages if world.asked else ()
