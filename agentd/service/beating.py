"""Measures the event loop's lag: a task that should wake up at intervals notes how late it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Pulse", "beat"]


@dataclass(slots=True)
class Pulse:
    """The loop's last beat and its lag, in times of `monotonic`; other threads may read it."""

    monotonic: Callable[[], float]
    felt: float = field(init=False)
    """When the task last woke up."""
    lag_seconds: float = 0.0
    """How much later than intended it last woke up."""

    def __post_init__(self) -> None:
        """Begin without lag."""
        self.felt = self.monotonic()

    @property
    def age_seconds(self) -> float:
        """Return how long ago the task last woke up."""
        return self.monotonic() - self.felt


async def beat(pulse: Pulse, every_seconds: float, step: Callable[[], None]) -> None:
    """At each interval, measure the lag and call `step`, until cancelled."""
    while True:
        began = pulse.monotonic()
        await asyncio.sleep(every_seconds)
        pulse.felt = pulse.monotonic()
        pulse.lag_seconds = max(pulse.felt - began - every_seconds, 0.0)
        step()
