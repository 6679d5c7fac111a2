"""Chance, from one number: every part of a run draws from a stream of its own, so that one does not shift another."""

from __future__ import annotations

from random import Random

__all__ = ["dice"]


def dice(seed: int, purpose: str) -> Random:
    """Return the stream of this seed for this purpose."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - a simulation is repeated, not guarded
