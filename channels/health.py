"""How a channel is doing: it keeps this up to date itself, and status, metrics and supervision read it.

What is watched over is attempts, not successes: a platform that is away refuses or cannot be reached, and says so each
time; who is stuck has no outcome at all. Silence, a call that was given up without a word, is none either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Health"]


@dataclass(slots=True)
class Health:
    """One channel's state; times are those of `monotonic`."""

    monotonic: Callable[[], float]
    patience_seconds: float | None = None
    """Within this time an attempt to hear the platform has an outcome; None: there is no platform that could be away.
    """
    contact: float | None = None
    """When the platform last answered; None: not yet."""
    fault: str = ""
    """What is wrong now, as one sentence for the operator; empty: nothing."""
    counts: Counter[str] = field(default_factory=Counter)
    """How often something was passed over, by what it was."""
    is_heard: bool = False
    """Whether it ever answered with more than its greeting."""
    outcome: float | None = None
    """When an attempt last had an outcome, or will have rested after it; None: none had one yet."""
    is_tried: bool = True
    """Whether an attempt had an outcome since the platform last answered; true before the first."""

    def touch(self) -> None:
        """Note that the platform has answered as it should: nothing is wrong any more."""
        self.is_heard = True
        self._answer()

    def greet(self) -> bool:
        """Note that the platform is there, though nothing was heard from it yet; return whether that counts.

        After nothing but silence it does not: who is begun anew because it hears nothing would seem well by it.
        """
        is_news = self.is_tried
        if is_news:
            self._answer()
        return is_news

    def _answer(self) -> None:
        self.contact = self.monotonic()
        self.fault = ""
        self.tried()
        self.is_tried = False

    def tried(self, rest_seconds: float = 0.0) -> None:
        """Note that an attempt had an outcome, good or bad, and that the next begins after so many seconds."""
        self.outcome = self.monotonic() + rest_seconds
        self.is_tried = True

    def overdue_seconds(self, began: float) -> float:
        """Return how long an outcome has been overdue, if attempts are made since `began`; 0: none is."""
        if self.patience_seconds is None:
            return 0.0
        since = began if self.outcome is None else max(self.outcome, began)
        return max(self.monotonic() - since - self.patience_seconds, 0.0)

    @property
    def silent_seconds(self) -> float | None:
        """Return the time since the platform last answered; None: it has not yet."""
        return None if self.contact is None else self.monotonic() - self.contact
