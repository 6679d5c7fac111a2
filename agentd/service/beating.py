"""The event loop's pulse: how late it is, and when it was last felt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Pulse", "beat"]


@dataclass(slots=True)
class Pulse:
    """Times are those of `monotonic`; another thread may read it."""

    monotonic: Callable[[], float]
    felt: float = field(init=False)
    """When the loop last came round."""
    lag_seconds: float = 0.0
    """How much later than it wanted to."""

    def __post_init__(self) -> None:
        """Begin with a loop that is well."""
        self.felt = self.monotonic()

    @property
    def age_seconds(self) -> float:
        """Return how long the loop has not come round."""
        return self.monotonic() - self.felt


async def beat(pulse: Pulse, every_seconds: float, step: Callable[[], None]) -> None:
    """Feel the pulse, and do a step, until cancelled."""
    while True:
        began = pulse.monotonic()
        await asyncio.sleep(every_seconds)
        pulse.felt = pulse.monotonic()
        pulse.lag_seconds = max(pulse.felt - began - every_seconds, 0.0)
        step()
