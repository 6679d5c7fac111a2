"""Judges whether the daemon makes progress, for the watchdog and `/healthz`.

Progress means completed attempts, not success: a platform, a disk or a database that refuses is reported elsewhere, and
is no reason to end the process. What is named here has had no outcome for so long that a restart is the better hope.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentd.service.beating import Pulse

__all__ = ["Limits", "QueueSign", "Signs", "Vitals"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long something may go without an outcome."""

    lag_seconds: float = 10.0
    """Lag of the event loop; a reply's drafts need it at least every second."""
    append_seconds: float = 120.0
    """A write and its flush: the slowest measured on a working disk took 10 s."""
    sweep_seconds: float = 300.0
    """Since the queue's last sweep, which happens every 10 s."""
    idle_seconds: float = 300.0
    """How long a task may be due while none runs."""


@dataclass(slots=True)
class QueueSign:
    """When the queue was last swept, and since when tasks have been waiting while none ran."""

    monotonic: Callable[[], float]
    swept_at: float | None = None
    """None: the queue is not open."""
    idle_since: float | None = None

    def swept(self, is_idle: bool) -> None:
        """Note a sweep."""
        self.swept_at = self.monotonic()
        if not is_idle:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = self.swept_at

    @property
    def sweep_seconds(self) -> float:
        """Return how long ago the last sweep was; 0 if the queue is not open."""
        return 0.0 if self.swept_at is None else self.monotonic() - self.swept_at

    @property
    def idle_seconds(self) -> float:
        """Return how long tasks have been waiting while none ran."""
        return 0.0 if self.idle_since is None else self.monotonic() - self.idle_since


@dataclass(frozen=True, slots=True)
class Signs:
    """Where to look; all may be called from another thread."""

    stuck_channels: Callable[[], Sequence[str]] = lambda: ()
    append_seconds: Callable[[], float] = lambda: 0.0
    """How long the present append has been running."""
    queue: QueueSign | None = None


class Vitals:
    """Judges the signs."""

    def __init__(self, pulse: Pulse, limits: Limits) -> None:
        """Begin with the event loop's lag alone; the other signs are set later."""
        self.signs = Signs()
        self._pulse = pulse
        self._limits = limits

    def faults(self) -> list[str]:
        """Return what makes no progress, in a sentence each; nothing if all is well."""
        limits, signs, queue = self._limits, self.signs, self.signs.queue
        lag_seconds = max(self._pulse.age_seconds, self._pulse.lag_seconds)
        sweep_seconds, idle_seconds = (queue.sweep_seconds, queue.idle_seconds) if queue else (0.0, 0.0)
        judged = (
            (lag_seconds > limits.lag_seconds, f"the event loop is {lag_seconds:.0f} s late"),
            (signs.append_seconds() > limits.append_seconds, "a record is not on disk, and not refused"),
            (sweep_seconds > limits.sweep_seconds, "the queue of background tasks does not answer"),
            (idle_seconds > limits.idle_seconds, "background tasks wait, and none is being done"),
        )
        stuck = [f"{name} is stuck, though it was restarted" for name in signs.stuck_channels()]
        return [sentence for is_wrong, sentence in judged if is_wrong] + stuck
