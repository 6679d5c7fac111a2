"""This module draws all random numbers of a run from one seed, in a separate stream for each part."""

from __future__ import annotations

from random import Random

__all__ = ["dice"]


def dice(seed: int, purpose: str) -> Random:
    """Return the stream of this seed for this purpose."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - a simulation is repeated, not guarded
