"""Whether the daemon makes progress: what the watchdog and `/healthz` go by.

Progress is attempts that are completed, not success: a platform, a disk or a database that refuses is told elsewhere,
and no reason to end the process. What is named here has had no outcome for so long that a new process is the better
hope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentd.service.beating import Pulse

__all__ = ["Limits", "QueueSign", "Signs", "Vitals"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long something may be without an outcome."""

    lag_seconds: float = 10.0
    """An event loop that comes round this late; a reply's pieces are shown at least every second."""
    append_seconds: float = 120.0
    """A write and its flush: the slowest that was measured on a disk that worked took 10 s."""
    sweep_seconds: float = 300.0
    """A look at the queue, which happens every 10 s."""
    idle_seconds: float = 300.0
    """A task whose time has come, while none is being done."""


@dataclass(slots=True)
class QueueSign:
    """When the queue was looked at, and since when tasks have waited in it while none was being done."""

    monotonic: Callable[[], float]
    swept_at: float | None = None
    """None: it is not open."""
    idle_since: float | None = None

    def swept(self, is_idle: bool) -> None:
        """Take in a look."""
        self.swept_at = self.monotonic()
        if not is_idle:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = self.swept_at

    @property
    def sweep_seconds(self) -> float:
        """Return how long ago the last look was."""
        return 0.0 if self.swept_at is None else self.monotonic() - self.swept_at

    @property
    def idle_seconds(self) -> float:
        """Return how long tasks have waited."""
        return 0.0 if self.idle_since is None else self.monotonic() - self.idle_since


@dataclass(frozen=True, slots=True)
class Signs:
    """Where to look; each may be asked from another thread."""

    stuck_channels: Callable[[], Sequence[str]] = lambda: ()
    append_seconds: Callable[[], float] = lambda: 0.0
    """How long the append that is under way takes."""
    queue: QueueSign | None = None


class Vitals:
    """Judges the signs."""

    def __init__(self, pulse: Pulse, limits: Limits) -> None:
        """Begin with nothing but a pulse."""
        self.signs = Signs()
        self._pulse = pulse
        self._limits = limits

    def faults(self) -> list[str]:
        """Say what makes no progress, each as a sentence; nothing where all does."""
        limits, signs, queue = self._limits, self.signs, self.signs.queue
        lag_seconds = max(self._pulse.age_seconds, self._pulse.lag_seconds)
        sweep_seconds, idle_seconds = (queue.sweep_seconds, queue.idle_seconds) if queue else (0.0, 0.0)
        judged = (
            (lag_seconds > limits.lag_seconds, f"the event loop is {lag_seconds:.0f} s late"),
            (signs.append_seconds() > limits.append_seconds, "a record is not on disk, and not refused"),
            (sweep_seconds > limits.sweep_seconds, "the queue of background tasks does not answer"),
            (idle_seconds > limits.idle_seconds, "background tasks wait, and none is being done"),
        )
        stuck = [f"{name} is stuck, though it was begun anew" for name in signs.stuck_channels()]
        return [sentence for is_wrong, sentence in judged if is_wrong] + stuck
