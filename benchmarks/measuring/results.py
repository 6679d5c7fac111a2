"""This module renders the benchmarks' results as Markdown: the machine's facts, then a table for each benchmark."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring.table import Heading, Row

__all__ = ["Machine", "Measured", "look_at_machine", "render"]

INTRODUCTION = """\
# What it costs

Written by `make bench`, at sizes that end within five minutes; `python -m benchmarks.NAME` measures one at full size.
Every figure stands beside its floor or yardstick from the same run. A ratio says more than a time, which is the
machine's; and on a machine that does something else as well (see its load) neither says much.
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the commit on which the figures were measured."""

    processor: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    commit: str
    date: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The results of one benchmark."""

    name: str
    heading: Heading
    rows: Sequence[Row]
    seconds: float
    load: float
    """The machine's load average of the last minute when it began, which includes what ran before."""
    remark: str = ""
    """Why results are missing, all or in part."""


def look_at_machine(root: Path) -> Machine:
    """Return the machine's facts and the commit of the checkout at `root`."""
    processors = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in processors if line.startswith("model name")]
    commit, changes = (_git(root, *words) for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain")))
    changed = [line for line in changes.splitlines() if not line.endswith("benchmarks/RESULTS.md")]
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        commit=(commit.strip() or "unknown") + (" with changes" if changed else ""),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _git(root: Path, *words: str) -> str:
    """Return git's output; empty if there is no git or no repository."""
    try:
        return subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=False).stdout  # noqa: S607
    except OSError:
        return ""


def render(machine: Machine, loads: tuple[float, float], measured: Sequence[Measured]) -> str:
    """Return the whole document; `loads` are the load averages of the last minute before and after."""
    facts = {
        "processor": machine.processor,
        "cores": str(machine.cores),
        "memory": f"{machine.memory_gb:.1f} GB",
        "kernel": machine.kernel,
        "Python": machine.python,
        "load before, after": f"{loads[0]:.2f}, {loads[1]:.2f}",
        "date": machine.date,
        "commit": machine.commit,
        "took": f"{sum(one.seconds for one in measured):.0f} s",
        "bounds": _count_bounds(measured),
    }
    head = INTRODUCTION + "\n" + _table(("the machine", ""), "ll", list(facts.items()))
    return "\n".join([head, *map(_section, measured)])


def _count_bounds(measured: Sequence[Measured]) -> str:
    verdicts = [row.is_kept for one in measured for row in one.rows if row.is_kept is not None]
    return f"{sum(verdicts)} of {len(verdicts)} kept"


def _section(one: Measured) -> str:
    remark = f" {one.remark}" if one.remark else ""
    head = f"## {one.heading.title}\n\n{one.heading.floor}\n\n`benchmarks/{one.name}.py`, {one.seconds:.0f} s"
    head += f", load {one.load:.2f} when it began.{remark}\n"
    if not one.rows:
        return head
    columns = ("figure", "measured", "floor", "ratio", "bound")
    return head + "\n" + _table(columns, "lrrrl", [row.cells() for row in one.rows])


def _table(columns: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a table; `sides`: l or r for each column."""
    rules = ["---:" if side == "r" else "---" for side in sides]
    lines = [columns, rules, *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
