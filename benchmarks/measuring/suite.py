"""Runs benchmarks at their short size, one after the other, each in a process and a folder of its own.

Each has a limit; the limits together are less than five minutes. One that reaches its limit is ended with all that it
started, and what it has handed over by then counts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring.results import Measured
from benchmarks.measuring.table import Heading, read_rows

__all__ = ["MOST_SECONDS", "SUITE", "Entry", "run"]

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A benchmark, and how long it may take."""

    name: str
    most_seconds: float


SUITE: Sequence[Entry] = (
    Entry("startup", 12),
    Entry("starting", 36),
    Entry("idle", 18),
    Entry("turn", 56),
    Entry("throughput", 22),
    Entry("resident", 22),
    Entry("store", 28),
    Entry("sessions", 22),
    Entry("tokens", 10),
    Entry("recall", 16),
    Entry("consolidating", 28),
    Entry("consolidation", 14),
    Entry("embedded_memory", 14),
)
"""In the order in which they are run and written down."""


def run(entry: Entry, root: Path = ROOT) -> Measured:
    """Run one, and return what it handed over."""
    load, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentd-bench-", ignore_cleanup_errors=True) as name:
        rows = Path(name, "rows")
        rows.touch()
        remark = _run(entry, rows, root)
        heading, handed, reason = read_rows(rows.read_bytes().splitlines(keepends=True))
    remark = f"Left out: {reason}." if reason else remark
    seconds = time.monotonic() - began
    return Measured(entry.name, heading or Heading(entry.name, ""), handed, seconds, load, remark)


def _run(entry: Entry, rows: Path, root: Path) -> str:
    """Run it to its end or its limit, and return what there is to remark."""
    command = (sys.executable, "-m", f"benchmarks.{entry.name}", "--short", "--rows", str(rows))
    # Without its bytecode, every daemon that is started would be compiled anew.
    environment = {**os.environ, "TMPDIR": str(rows.parent), "PYTHONDONTWRITEBYTECODE": ""}
    # Of its own session, so that it can be ended with the daemons that it started.
    with subprocess.Popen(command, cwd=root, env=environment, start_new_session=True) as process:
        try:
            code = process.wait(entry.most_seconds)
        except subprocess.TimeoutExpired:
            return f"**Cut off after {entry.most_seconds:g} s**: what was to come is missing."
        finally:
            _end(process)
    return f"**Ended with {code}**: what was to come is missing." if code else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started and left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
