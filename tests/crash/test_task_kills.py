"""These tests kill a task worker again and again: no task is lost, and each session's tasks keep their order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Order
from tests.contract.task_stands import now

ROOT = Path(__file__).parents[2]
SESSIONS = ("one", "two", "three", "four", "five")
TASKS = 12
KILLS = (7, 11)
CONCURRENCY = 4


def run(path: Path, effects: Path, until_begun: int | None) -> int:
    """Run the process to its end, or kill it once it has begun so many."""
    command = [sys.executable, "-m", "tests.crash.tasks_target", str(path), str(effects)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        if until_begun is not None:
            for _ in range(until_begun):
                process.stdout.readline()
            process.kill()
        process.stdout.read()
        return process.wait(60)


async def test_a_worker_that_is_killed_half_way_loses_no_task_and_breaks_no_order(tmp_path: Path) -> None:
    path, effects = tmp_path / "tasks.db", tmp_path / "effects"
    async with open_queue(path, now) as queue:
        for n in range(TASKS):
            for session in SESSIONS:
                await queue.defer(Order("step", {"session": session, "n": n}, session))
    codes = [run(path, effects, begun) for begun in (*KILLS, None)]
    steps = [line.split() for line in effects.read_text("ascii").splitlines()]
    async with open_queue(path, now) as queue:
        left = await queue.entries()

    assert codes == [-9, -9, 0]
    assert left == []
    for session in SESSIONS:
        said = [(what, int(n)) for what, of, n in steps if of == session]
        begun = [n for what, n in said if what == "begin"]
        assert sorted({n for what, n in said if what == "end"}) == list(range(TASKS))
        assert begun == sorted(begun)
        assert all(("end", n - 1) in said[:index] for index, (what, n) in enumerate(said) if what == "begin" and n)
    repeated = sum(what == "end" for what, *_ in steps) - TASKS * len(SESSIONS)
    assert 0 <= repeated <= len(KILLS) * CONCURRENCY
