"""This benchmark measures how much memory an open session takes, against the same messages kept as plain dicts.

Some hundred people on Slack write once: first people who are new, then people with a history. Each session then stays
in memory until nobody has written in it for `agent.idle_minutes`. The figure is the growth of the daemon's resident
memory, measured after a warm-up with others, so that everything is loaded.

    python -m benchmarks.resident [SESSIONS]
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from agentd.transcript.key import SessionKey
from agentd.transcript.records import encode_line
from benchmarks.idle import AGENTD, resident_kb
from benchmarks.measuring.busy import CountingSlack, InstantModel, Rig, author_of, daemon_config, open_rig
from benchmarks.measuring.table import Table, handing_over
from benchmarks.sessions import ENGLISH, conversation

TITLE = "Memory of a session that stays in memory"
FLOOR = (
    "The yardstick is a process that parses every line of the same files and keeps the messages' role and content as "
    "dicts, as a program does that holds its history in lists."
)
SESSIONS, SHORT_SESSIONS = 1_000, 150
TURNS = 10
"""Few enough not to start a compaction."""
WARM_UP = 50
BLOCK = 50
KEEP = """
import json, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from benchmarks.idle import resident_kb
import os
paths = sys.argv[1:]
before = resident_kb(os.getpid())
kept = []
for path in paths:
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    kept.append([{{"role": one["role"], "content": one["content"]}} for one in records if one["type"] == "message"])
print(resident_kb(os.getpid()) - before)
"""


async def measure(table: Table, sessions: int) -> None:
    """Let people write who are new to the daemon, then people with a history."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        slack = await stack.enter_async_context(CountingSlack())
        model = await stack.enter_async_context(InstantModel())
        config = folder / "config.toml"
        config.write_text(daemon_config(folder / "workspace", slack, model))
        command = [str(AGENTD), "--config", str(config), "run"]
        async with open_rig(command, slack, folder / "log") as rig:
            resident = []
            for people in (range(10_000, 10_000 + WARM_UP), range(20_000, 20_000 + sessions)):
                await talk(rig, people)
                resident.append(resident_kb(rig.pid))
            # The files are added while it runs: at a start it would read each history at Slack, 50 chats a minute.
            paths = write_sessions(folder / "workspace/sessions", slack, range(sessions))
            await talk(rig, range(sessions))
            resident.append(resident_kb(rig.pid))
        floor = keep_as_dicts(paths) / sessions
    table.add("a session of 2 messages", (resident[1] - resident[0]) / sessions, "kB")
    table.add(f"a session of {2 * TURNS + 2} messages", (resident[2] - resident[1]) / sessions, "kB", floor)


async def talk(rig: Rig, people: Sequence[int]) -> None:
    """Let these people write, some at a time."""
    for start in range(0, len(people), BLOCK):
        await rig.talk(people[start : start + BLOCK])


def write_sessions(folder: Path, slack: CountingSlack, people: Sequence[int]) -> list[Path]:
    """Write a history for each person, in files named as the daemon names sessions, and return the files."""
    path = next(folder.glob("*.jsonl"))
    with path.open("rb") as file:
        first = msgspec.convert(json.loads(file.readline())["key"], SessionKey)
    paths = []
    for number in people:
        author = author_of(number)
        key = SessionKey(first.channel, first.account, slack.dm_of(author), first.thread, author)
        paths.append(folder / f"{key.file_name}.jsonl")
        paths[-1].write_bytes(b"".join(map(encode_line, conversation(key, ENGLISH, TURNS))))
    return paths


def keep_as_dicts(paths: Sequence[Path]) -> int:
    """Return by how many kB a process grows that keeps these messages as dicts."""
    program = KEEP.format(root=str(Path(__file__).parents[1]))
    command = [sys.executable, "-c", program, *map(str, paths)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure."""
    with handing_over(TITLE, FLOOR) as (given, table):
        asyncio.run(measure(table, given.size(SHORT_SESSIONS, SESSIONS)))


if __name__ == "__main__":
    main()
