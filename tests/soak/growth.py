"""This module measures whether the daemon's memory grows: the last quarter of a run against the second.

A kill begins with a fresh process: so lives of the same length are compared, each by its peak. Without kills one life
is cut into quarters, of which each counts by its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.soak.daemon import Life

__all__ = ["MOST_GROWTH", "Growth", "measure"]

MOST_GROWTH = 0.05
FEWEST_LIVES = 8
"""With fewer, a quarter is one life, whose peak is chance."""
FEWEST_SAMPLES = 480
"""Eight minutes: before that a daemon is still taking in what it needs."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident bytes of the second and the last quarter."""

    second: float
    last: float

    @property
    def share(self) -> float:
        """By how much the last is over the second."""
        return self.last / self.second - 1


def measure(lives: Sequence[Life], until: float) -> Growth | None:
    """Compare, as far as people were talking (`until`); None where the run was too short to tell."""
    killed = [life.peak_bytes for life in lives if life.was_killed and life.samples]
    if len(killed) >= FEWEST_LIVES:
        return _compare(killed)
    samples = [resident for at, resident in lives[0].samples if at <= until]
    return _compare(samples) if len(lives) == 1 and len(samples) >= FEWEST_SAMPLES else None


def _compare(values: Sequence[int]) -> Growth:
    quarter = len(values) // 4
    return Growth(fmean(values[quarter : 2 * quarter]), fmean(values[-quarter:]))
