"""This benchmark measures the daemon's start time and its memory then, against a process that imports its libraries.

The floor is a Python process that only imports pydantic-settings, structlog and httpx. The daemon is `agentd run` with
a remote provider and the console channel, until it logs that its channels receive.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring.table import handing_over

TITLE = "Start and memory before anyone says a word"
FLOOR_SENTENCE = "The floor is a Python that imports pydantic-settings, structlog and httpx, and nothing else."
ROUNDS, SHORT_ROUNDS = 7, 3
FLOOR = "import pydantic_settings, structlog, httpx; print('ready', flush=True); input()"
AGENTD = Path(sys.executable).with_name("agentd")
MB = 1024


def main() -> None:
    """Measure floor and daemon in turn, and add the medians to the table."""
    with handing_over(TITLE, FLOOR_SENTENCE) as (given, table), tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(
            f'workspace = "{folder}/workspace"\n[provider]\nkind = "openai"\n'
            'base_url = "http://127.0.0.1:9/v1"\nmodel = "none"\n'
        )
        daemon = [str(AGENTD), "--config", str(config), "run"]
        floors, daemons = [], []
        for _ in range(given.size(SHORT_ROUNDS, ROUNDS)):
            floors.append(measure([sys.executable, "-c", FLOOR], "ready"))
            daemons.append(measure(daemon, "channels_receiving"))
        floor_seconds, floor_kb = (statistics.median(values) for values in zip(*floors, strict=True))
        seconds, kb = (statistics.median(values) for values in zip(*daemons, strict=True))
        table.add("start", seconds, "s", floor_seconds)
        table.add("resident", kb / MB, "MB", floor_kb / MB)


def measure(command: list[str], ready: str) -> tuple[float, int]:
    """Start a process, and return the seconds until a line of its output has `ready`, and its resident kB then."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENTD_")}
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stdin
        while ready not in (line := process.stdout.readline()):
            assert line, "the process ended before it was ready"
        seconds = time.perf_counter() - begun
        resident = resident_kb(process.pid)
        process.stdin.close()
        process.stdout.read()
    return seconds, resident


def resident_kb(pid: int) -> int:
    """Return a process's resident memory in kB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
