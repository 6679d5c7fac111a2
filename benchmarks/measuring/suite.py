"""This module runs the benchmarks at their short size, one after another, each in its own process and folder.

Each has a share of five minutes, plus what those before it left of theirs. When that is used up, the benchmark is
killed with all processes that it started, and the rows that it has written by then count.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.results import Measured
from benchmarks.measuring.table import Heading, read_rows

__all__ = ["MOST_SECONDS", "SUITE", "Entry", "run", "run_all"]

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A benchmark, and its share of the time: what it takes on two cores that are shared with others."""

    name: str
    share_seconds: float


SUITE: Sequence[Entry] = (
    Entry("startup", 8),
    Entry("starting", 28),
    Entry("idle", 20),
    Entry("turn", 60),
    Entry("throughput", 22),
    Entry("resident", 20),
    Entry("store", 26),
    Entry("sessions", 10),
    Entry("tokens", 5),
    Entry("recall", 18),
    Entry("consolidating", 34),
    Entry("consolidation", 20),
    Entry("embedded_memory", 24),
)
"""All benchmarks, in the order of running and of the results."""


def run_all(entries: Sequence[Entry], most_seconds: float = MOST_SECONDS) -> Iterator[Measured]:
    """Run benchmarks in turn, and yield the results of each."""
    end = time.monotonic() + most_seconds
    later = sum(entry.share_seconds for entry in entries)
    for entry in entries:
        later -= entry.share_seconds
        yield run(entry, end - time.monotonic() - later)


def run(entry: Entry, most_seconds: float, root: Path = ROOT) -> Measured:
    """Run one benchmark for `most_seconds` at most, and return its results."""
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentd-bench-", ignore_cleanup_errors=True) as name:
        rows = Path(name, "rows")
        rows.touch()
        remark = _run(entry, most_seconds, rows, root)
        heading, handed, reason = read_rows(rows.read_bytes().splitlines(keepends=True))
    remark = f"Left out: {reason}." if reason else remark
    seconds = time.monotonic() - began
    return Measured(entry.name, heading or Heading(entry.name, ""), handed, seconds, load, remark)


def _run(entry: Entry, most_seconds: float, rows: Path, root: Path) -> str:
    """Run a benchmark to its end or its limit, and return a remark if it did not end well."""
    command = (sys.executable, "-m", f"benchmarks.{entry.name}", "--short", "--rows", str(rows))
    # Without cached bytecode, every daemon that is started would compile its modules again.
    environment = {**os.environ, "TMPDIR": str(rows.parent), "PYTHONDONTWRITEBYTECODE": ""}
    # It has its own session, so that it can be killed with the daemons that it started.
    with subprocess.Popen(command, cwd=root, env=environment, start_new_session=True) as process:
        try:
            code = process.wait(most_seconds)
        except subprocess.TimeoutExpired:
            return f"**Cut off after {most_seconds:.0f} s**: what was to come is missing."
        finally:
            _end(process)
    return f"**Ended with {code}**: what was to come is missing." if code else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a benchmark and all processes of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
