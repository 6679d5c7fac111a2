"""This module is a test's own time, which passes as soon as there is nothing to do."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from tests.simulation.loop import VirtualLoop, drain

__all__ = ["START_SECONDS", "play"]

START_SECONDS = 1000.0
"""What the clock shows at first."""

T = TypeVar("T")


def play(scenario: Coroutine[Any, Any, T]) -> T:
    """Run to the end, and return the result; whoever sleeps is woken at once, at the right time."""
    loop = VirtualLoop(START_SECONDS, Random(0), (0.0,))  # noqa: S311 - nothing is drawn: no job runs in it
    try:
        return loop.run_until_complete(scenario)
    finally:
        drain(loop)
