"""This module runs the longhaul by hand: a year of one conversation, and a report of it.

python -m tests.longhaul --turns 20000 --restarts 50 --max-context-tokens 32000
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.longhaul.daemon import DaemonEnded
from tests.longhaul.run import Plan, run
from tests.longhaul.tally import Tally


def main() -> None:
    """Run once, print every figure beside its target, and fail where one is missed."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.longhaul", description="A conversation without an end.")
    parser.add_argument("--turns", type=int, default=usual.turns, metavar="N")
    parser.add_argument("--restarts", type=int, default=usual.restarts, metavar="K")
    parser.add_argument("--max-context-tokens", type=int, default=usual.context_tokens, metavar="T")
    parser.add_argument("--seed", type=int, default=usual.seed, metavar="S")
    parser.add_argument(
        "--summary-seconds", type=float, default=usual.summary_seconds, metavar="X", help="in the simulated time"
    )
    options = parser.parse_args()
    plan = Plan(
        turns=options.turns,
        restarts=options.restarts,
        context_tokens=options.max_context_tokens,
        seed=options.seed,
        summary_seconds=options.summary_seconds,
    )
    try:
        with tempfile.TemporaryDirectory() as name:
            tally = asyncio.run(run(plan, Path(name)))
    except* DaemonEnded as ends:
        sys.exit(str(ends.exceptions[0]))
    sys.stdout.writelines(f"{line}\n" for line in _lines(tally))
    sys.exit(1 if tally.faults else 0)


def _lines(tally: Tally) -> Iterator[str]:
    for figure in tally.figures:
        yield f"{'' if figure.holds else 'MISSED':7} {figure.name:55} {figure.value:>14}  {figure.target}".rstrip()
    yield from (example for examples in tally.wrongs.values() for example in examples)


if __name__ == "__main__":
    main()
