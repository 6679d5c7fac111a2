"""These tests run the daemon on a platform that breaks off or refuses calls: replies arrive, once if possible.

Nobody can tell a message whose answer was lost from one that never arrived: only there a copy is sent, with a mark.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.crash.judge import judge
from tests.crash.nursery import open_nursery
from tests.crash.on_telegram import server_of
from tests.crash.world import Staging, open_world
from tests.platforms.telegram_behaviours import (
    drop_after_effect,
    drop_before_effect,
    failing,
    too_many_requests,
)
from tests.platforms.telegram_server import Behaviour

LIMIT_SECONDS = 60


@pytest.mark.parametrize(
    ("method", "behaviour", "uncertain", "originals"),
    [
        ("sendMessage", drop_before_effect(), 1, 0),
        ("sendMessage", drop_after_effect(), 1, 1),
        ("sendMessage", failing(), 1, 0),
        ("sendMessage", too_many_requests(1), 0, 0),
        ("editMessageText", drop_before_effect(), 0, 0),
        ("editMessageText", drop_after_effect(), 0, 0),
        ("editMessageText", failing(), 0, 0),
        ("editMessageText", too_many_requests(1), 0, 0),
        ("getUpdates", drop_before_effect(), 0, 0),
        ("getUpdates", drop_after_effect(), 0, 0),
        ("getUpdates", failing(), 0, 0),
    ],
)
async def test_a_call_that_fails_once_is_made_good(
    method: str, behaviour: Behaviour, uncertain: int, originals: int, tmp_path: Path
) -> None:
    async with (
        open_nursery() as nursery,
        open_world(tmp_path, nursery, Staging()) as world,
        asyncio.timeout(LIMIT_SECONDS),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        await world.until(lambda: bool(world.runs))
        server_of(world.platform).enqueue(method, behaviour)
        world.post("one")
        await world.until(lambda: not server_of(world.platform).has_script(method))
        world.post("two")
        await world.settled()
        ended = await world.stop()
    verdict = judge(world)

    assert (verdict.faults, verdict.lost, verdict.doubles) == ([], [], [])
    assert (verdict.uncertain, verdict.originals, ended) == (uncertain, originals, 0)
