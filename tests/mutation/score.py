"""This module reports mutmut's results by module: how many mutants of the pure core the tests notice.

A change is noticed when a test fails by it, or does not end. One that no test reaches at all counts as unnoticed.
Exits with 1 where fewer are noticed than must be, or some were not tried.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.mutation.core import core_files

__all__ = ["LEAST", "Score", "report", "scores"]

LEAST = 0.85
"""The share that must be noticed, over all."""

TIMED_OUT = {-24, 24, 36, 152, 255}
NOTICED = {1, 3, *TIMED_OUT}
"""pytest's codes for a failed test and an error of its own, and mutmut's for a run that it ended for its time."""


class Found(msgspec.Struct):
    """What mutmut writes beside a module: how the tests of each change ended; None where they were not run."""

    exit_code_by_key: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Score:
    """One module's changes, by what became of them."""

    file: str
    noticed: int
    unnoticed: int
    untried: int

    @property
    def tried(self) -> int:
        """How many the tests were run for, or would have been had one reached them."""
        return self.noticed + self.unnoticed


def scores(folder: Path, files: list[str]) -> list[Score]:
    """Read what was found for these modules below mutmut's folder; one without a change is left out."""
    found = []
    for file in files:
        meta = folder / f"{file}.meta"
        codes = list(_read(meta)) if meta.exists() else []
        untried = codes.count(None)
        noticed = sum(code in NOTICED for code in codes)
        if codes:
            found.append(Score(file, noticed, len(codes) - noticed - untried, untried))
    return found


def _read(meta: Path) -> list[int | None]:
    return list(msgspec.json.decode(meta.read_bytes(), type=Found).exit_code_by_key.values())


def report(found: list[Score]) -> tuple[list[str], bool]:
    """Return a line for each module and one for all, and whether enough is noticed and all was tried."""
    whole = Score(
        "all of it",
        sum(score.noticed for score in found),
        sum(score.unnoticed for score in found),
        sum(score.untried for score in found),
    )
    enough = whole.tried > 0 and whole.noticed >= LEAST * whole.tried and whole.untried == 0
    return [_line(score) for score in (*found, whole)], enough


def _line(score: Score) -> str:
    share = f"{score.noticed / score.tried:7.1%}" if score.tried else "      -"
    untried = f", {score.untried} not tried" if score.untried else ""
    return f"{score.file:<40}{score.noticed:>6} of {score.tried:>4} noticed{share}{untried}"


def main() -> int:
    """Print the report on mutmut's folder of this run."""
    lines, enough = report(scores(Path("mutants"), core_files()))
    sys.stdout.write("\n".join([*lines, ""]))
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
