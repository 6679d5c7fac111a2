"""This module is a process that works off background tasks, and logs each step to a file that outlives it."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from agentd.tasks.opening import Surroundings, open_tasks
from agentd.tasks.queue import Args, Leaving
from agentd.tasks.settings import TasksSettings


async def work(path: Path, effects: int) -> None:
    """Do what is there."""

    async def step(args: Args) -> None:
        os.write(effects, f"begin {args['session']} {args['n']}\n".encode())
        print("begun", flush=True)  # noqa: T201 - whoever kills this counts them
        await asyncio.sleep(0.001)
        os.write(effects, f"end {args['session']} {args['n']}\n".encode())

    around = Surroundings(lambda: datetime.now(UTC), Leaving(lambda: 5.0))
    async with open_tasks(path, TasksSettings(), {"step": step}, around) as queue:
        while await queue.entries():  # noqa: ASYNC110 - a queue has no event for it
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)))
