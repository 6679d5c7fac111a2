"""Runs benchmarks at their short size, one after the other, each in a process and a folder of its own.

Each has a share of five minutes, and what those before it left of theirs. One that has used that up is ended with all
that it started, and what it has handed over by then counts.
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
    """A benchmark, and its share of the time: what it takes on two cores that others use as well."""

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
"""In the order in which they are run and written down."""


def run_all(entries: Sequence[Entry], most_seconds: float = MOST_SECONDS) -> Iterator[Measured]:
    """Run them in turn, and yield what each handed over."""
    end = time.monotonic() + most_seconds
    later = sum(entry.share_seconds for entry in entries)
    for entry in entries:
        later -= entry.share_seconds
        yield run(entry, end - time.monotonic() - later)


def run(entry: Entry, most_seconds: float, root: Path = ROOT) -> Measured:
    """Run one for so long at most, and return what it handed over."""
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
    """Run it to its end or its limit, and return what there is to remark."""
    command = (sys.executable, "-m", f"benchmarks.{entry.name}", "--short", "--rows", str(rows))
    # Without its bytecode, every daemon that is started would be compiled anew.
    environment = {**os.environ, "TMPDIR": str(rows.parent), "PYTHONDONTWRITEBYTECODE": ""}
    # Of its own session, so that it can be ended with the daemons that it started.
    with subprocess.Popen(command, cwd=root, env=environment, start_new_session=True) as process:
        try:
            code = process.wait(most_seconds)
        except subprocess.TimeoutExpired:
            return f"**Cut off after {most_seconds:.0f} s**: what was to come is missing."
        finally:
            _end(process)
    return f"**Ended with {code}**: what was to come is missing." if code else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started and left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
