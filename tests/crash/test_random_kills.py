"""These tests kill the daemon of one conversation dozens of times, at random moments."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.crash.judge import judge
from tests.crash.nursery import open_nursery
from tests.crash.scenarios import UNITS, WORDS
from tests.crash.world import Staging, World, open_world

LONGEST_SECONDS = 0.08
"""From a start's first sign of life, or from the order to start, to the kill: a turn takes about as long."""

FEWEST_STEPS = 10
"""So many different steps are the last before a kill, at least; where nothing else runs, 14 to 22 are."""


ROWS = [*(("telegram", 50, seed) for seed in range(4)), ("discord", 40, 0), ("slack", 40, 0)]


async def live_on(world: World, chance: random.Random, kills: int) -> None:
    """Write, and be killed; then let everything come to its end."""
    edited: set[str] = set()
    if not world.platform.replays:
        await get_acquainted(world)
    for number in range(kills):
        world.model.words = chance.choice([0, WORDS])
        plain = [message_id for message_id, text in world.posted.messages.items() if text[0] != "/"]
        what = chance.random()
        if what < 0.1 and plain and plain[-1] not in edited and world.platform.replays:
            edited.add(plain[-1])
            world.post_edit(plain[-1], f"message {number}, which was another one")
        else:
            world.post("/new" if what < 0.2 else "/retry" if what < 0.3 else f"message {number}")
        if chance.random() < 0.8:
            await world.until(world.is_alive)
        # The moment is what is tried: early ones more often, since a turn that is done waits for the next message.
        await asyncio.sleep(LONGEST_SECONDS * chance.random() ** 2)
        world.runs[-1].kill()
        await world.until_killed(number + 1)
    await world.finish()


async def get_acquainted(world: World) -> None:
    """Let a platform that tells everything once have a place of which the daemon knows that something may be missed."""
    await world.until(world.is_alive)
    world.post("hello")
    await world.settled()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("channel", "kills", "seed"), ROWS)
async def test_after_dozens_of_kills_each_message_has_one_end_and_each_reply_is_shown_once(
    channel: str, kills: int, seed: int, tmp_path: Path
) -> None:
    async with (
        open_nursery(channel) as nursery,
        open_world(tmp_path, nursery, Staging(most_units=UNITS)) as world,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        async with asyncio.timeout(300):
            await world.until(lambda: bool(world.runs))
            await live_on(world, random.Random(seed), kills)  # noqa: S311 - the same kills each time, as far as that goes
        exit_code = await world.stop()
    verdict = judge(world)

    assert (verdict.faults, verdict.lost, verdict.doubles) == ([], [], [])
    assert not (world.platform.drops_copies and verdict.uncertain)
    assert exit_code == 0
    assert len(world.left) == kills
    assert len({run.steps[-1] for run in world.runs if run.steps}) >= FEWEST_STEPS
