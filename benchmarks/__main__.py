"""This module runs every benchmark at its short size, and writes `benchmarks/RESULTS.md`.

    python -m benchmarks [NAME ...]

With names, it runs only those and writes nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.measuring.results import Measured, look_at_machine, render
from benchmarks.measuring.suite import ROOT, SUITE, run_all

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Return 1 if a benchmark failed or was cut off, 2 for an unknown name; a missed bound is only shown."""
    names = sys.argv[1:]
    if unknown := {*names} - {entry.name for entry in SUITE}:
        print(f"no such benchmark: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    machine, before = look_at_machine(ROOT), os.getloadavg()[0]
    measured: list[Measured] = []
    for one in run_all([entry for entry in SUITE if not names or entry.name in names]):
        measured.append(one)
        print(f"{one.name}: {one.seconds:.0f} s {one.remark}\n", flush=True)
    text = render(machine, (before, os.getloadavg()[0]), measured)
    if not names:
        RESULTS.write_text(text, encoding="utf-8")
        print(f"\nwritten: {RESULTS.relative_to(ROOT)}")
    return int(any(one.remark.startswith("**") for one in measured))


if __name__ == "__main__":
    sys.exit(main())
