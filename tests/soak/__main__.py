"""This module runs the soak by hand: many people, for long, with random faults and kills.

python -m tests.soak --minutes 30 --people 200
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.soak.growth import MOST_GROWTH, measure
from tests.soak.run import Plan, Report, run

MEBIBYTE = 1024 * 1024
MOST_SHOWN = 40


def main() -> None:
    """Run once, print a figure a line, and fail if anything is that must not be."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Many people, for long.")
    parser.add_argument("--minutes", type=float, default=usual.seconds / 60)
    parser.add_argument("--people", type=int, default=usual.people)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--kill-every", type=float, default=usual.kill_seconds, metavar="SECONDS")
    parser.add_argument("--no-kill", action="store_true", help="let one process live through all of it")
    parser.add_argument("--pause", type=float, default=usual.pause_seconds, metavar="SECONDS")
    parser.add_argument(
        "--again",
        type=float,
        nargs="*",
        default=usual.again_seconds,
        metavar="SECONDS",
        help="how long after each failure Slack tells of an event again",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the workspace and the log there")
    options = parser.parse_args()
    plan = Plan(
        seconds=options.minutes * 60,
        people=options.people,
        seed=options.seed,
        kill_seconds=math.inf if options.no_kill else options.kill_every,
        pause_seconds=options.pause,
        again_seconds=options.again,
    )
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # who is killed hangs up on the servers
    folder = options.keep or Path(tempfile.mkdtemp(prefix="agentd-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    report = asyncio.run(run(plan, folder))
    faults = [*report.faults, *_growth_faults(report)]
    sys.stdout.writelines(f"{line}\n" for line in _lines(report, folder))
    sys.stdout.writelines(f"{fault}\n" for fault in faults[:MOST_SHOWN])
    sys.stdout.write(f"{len(faults)} faults\n")
    sys.exit(1 if faults else 0)


def _lines(report: Report, folder: Path) -> Iterator[str]:
    """Yield a figure a line: its name and its value as JSON."""
    verdict, growth = report.verdict, measure(report.lives, report.talked_until)
    waits = report.waits_seconds
    figures: dict[str, object] = {
        "sessions": len(report.evidence.files),
        "written": verdict.written,
        "answered": verdict.answered,
        "failed and told": verdict.told,
        "lost": len(verdict.lost),
        "unmarked doubles": len(verdict.doubles),
        "marked copies": verdict.copies,
        "uncertain deliveries": verdict.uncertain,
        "to be learnt": verdict.exchanges,
        "exchanges learnt": len(report.evidence.learnt),
        "kills": sum(life.was_killed for life in report.lives),
        "faults made": dict(sorted(report.faults_made.items())),
        "seconds to an answer, half and 99 of 100": [round(waits[len(waits) * at // 100], 2) for at in (50, 99)],
        "seconds until all was settled": round(report.settle_seconds, 1),
        "resident MiB, the peak of each life": [round(life.peak_bytes / MEBIBYTE, 1) for life in report.lives],
        "resident MiB, second and last quarter": growth
        and [round(growth.second / MEBIBYTE, 1), round(growth.last / MEBIBYTE, 1)],
        "growth in per cent": growth and round(100 * growth.share, 1),
        "log and workspace": str(folder),
    }
    yield from (f"{name}: {json.dumps(value)}" for name, value in figures.items())


def _growth_faults(report: Report) -> Iterator[str]:
    growth = measure(report.lives, report.talked_until)
    if growth is not None and growth.share > MOST_GROWTH:
        yield f"resident size grew by {growth.share:.1%}"


if __name__ == "__main__":
    main()
