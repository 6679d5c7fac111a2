"""This module runs the load test by hand: a daemon with many people, and faults of its connection.

python -m tests.load discord --loss 60 --people 50
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.load.run import PLATFORMS, Plan, Report, run


def main() -> None:
    """Run once, print what came of it, and fail if anything did that must not."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.load", description="Faults of the connection under load.")
    parser.add_argument("platform", choices=sorted(PLATFORMS))
    parser.add_argument("--loss", type=float, default=usual.loss_seconds, metavar="SECONDS")
    parser.add_argument("--people", type=int, default=usual.people)
    parser.add_argument("--calm", type=float, default=usual.calm_seconds, metavar="SECONDS")
    parser.add_argument("--fault", action="append", default=[], help="one of the platform's; may be repeated")
    parser.add_argument("--whole", action="store_true", help="answers are not seen growing")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the workspace and the log there")
    options = parser.parse_args()
    plan = Plan(
        people=options.people,
        loss_seconds=options.loss,
        calm_seconds=options.calm,
        faults=options.fault,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run(options.platform, plan, folder, streams=not options.whole))
    sys.stdout.writelines(f"{line}\n" for line in _lines(report))
    sys.exit(1 if report.faults else 0)


def _lines(report: Report) -> Iterator[str]:
    yield f"{'':20} {'written':>8} {'answered':>9} {'lost':>5} {'doubles':>8} {'marked':>7} {'slowest':>9}"
    for fault, tally in report.tallies.items():
        answered = tally.written - len(tally.lost)
        yield (
            f"{fault:20} {tally.written:8} {answered:9} {len(tally.lost):5} {len(tally.doubles):8}"
            f" {tally.copies:7} {tally.slowest_seconds:7.1f} s"
        )
    yield from report.faults


if __name__ == "__main__":
    main()
