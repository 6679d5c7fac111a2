"""This module holds a channel's health: the channel updates it, and status, metrics and the supervisor read it.

The supervisor looks at attempts, not successes: while a platform is down, each attempt still has an outcome (refused,
unreachable); a channel that is stuck has none at all. A call that was given up without any answer counts as no outcome.
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
    """The longest time that an attempt to hear the platform takes to have an outcome; None: there is no platform (a
    console)."""
    contact: float | None = None
    """When the platform last answered; None: not yet."""
    fault: str = ""
    """What is wrong now, as one sentence for the operator; empty: nothing."""
    counts: Counter[str] = field(default_factory=Counter)
    """How often something was passed over, by the reason."""
    is_heard: bool = False
    """Whether the platform ever answered with more than its greeting."""
    outcome: float | None = None
    """When an attempt last had an outcome, plus the pause that follows it; None: none had one yet."""
    is_tried: bool = True
    """Whether an attempt had an outcome since the platform last answered; true before the first."""

    def touch(self) -> None:
        """Note that the platform has answered as it should: nothing is wrong any more."""
        self.is_heard = True
        self._answer()

    def greet(self) -> bool:
        """Note that the platform has taken a connection, though it has sent nothing yet; return whether that counts.

        It does not count if the last contact was followed by silence alone: else a channel that is restarted because it
        hears nothing would seem well after each restart.
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
        """Note that an attempt had an outcome, good or bad, and that the next begins in `rest_seconds`."""
        self.outcome = self.monotonic() + rest_seconds
        self.is_tried = True

    def overdue_seconds(self, began: float) -> float:
        """Return for how long an outcome has been overdue, when attempts began at `began`; 0: it is not overdue."""
        if self.patience_seconds is None:
            return 0.0
        since = began if self.outcome is None else max(self.outcome, began)
        return max(self.monotonic() - since - self.patience_seconds, 0.0)

    @property
    def silent_seconds(self) -> float | None:
        """The seconds since the platform last answered; None: it has not yet."""
        return None if self.contact is None else self.monotonic() - self.contact
