"""Runs seeds: `.venv/bin/python -m tests.simulation --seeds 0:1000 --jobs 2` prints the playbook of each that fails."""

from __future__ import annotations

import argparse
import gc
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.plants import PLANTS
from tests.simulation.run import Outcome, play

CHUNK = 50
SHOWN_SEEDS = 8


def main() -> int:
    """Run, and return 1 if a seed failed."""
    options = _options()
    first, last = map(int, options.seeds.split(":"))
    began = time.monotonic()
    failed = _run(range(first, last), options)
    for outcome in failed[: options.show]:
        _say(outcome.report())
    kinds: dict[str, list[int]] = {}
    for outcome in failed:
        kinds.setdefault(_kind(outcome.faults[0]), []).append(outcome.seed)
    for kind, seeds in sorted(kinds.items(), key=lambda item: -len(item[1])):
        _say(f"{len(seeds):6} {kind}: {seeds[:SHOWN_SEEDS]}")
    seconds = time.monotonic() - began
    _say(f"{last - first} seeds in {seconds:.1f} s, {len(failed)} failed")
    return 1 if failed else 0


def _run(seeds: range, options: argparse.Namespace) -> list[Outcome]:
    """Return the outcomes of the seeds that fail."""
    playing = partial(_play, plant=options.plant, blind=options.blind)
    if options.jobs == 1:
        return [outcome for outcome in map(playing, seeds) if outcome]
    with ProcessPoolExecutor(options.jobs) as pool:
        return [outcome for outcome in pool.map(playing, seeds, chunksize=CHUNK) if outcome]


def _play(seed: int, plant: str | None, *, blind: bool) -> Outcome | None:
    if seed % CHUNK == 0:
        gc.collect()  # a run holds the collector still, and what it leaves is never due for it
    outcome = play(seed, PLANTS[plant]() if plant else None, blind=blind)
    return outcome if outcome.faults else None


def _kind(fault: str) -> str:
    """Return what faults of one kind have in common."""
    plain = re.sub(r"«.*?»|'.*?'|\[.*?\]|\S*sim~\S*", "…", fault)
    return re.sub(r"\w*\d\w*", "N", plain)[:100]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="the first, and the one after the last")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plant", choices=sorted(PLANTS), help="a bug that the seeds should find")
    parser.add_argument("--blind", action="store_true", help="judge by outcomes alone")
    parser.add_argument("--show", type=int, default=1, help="how many playbooks to print")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
