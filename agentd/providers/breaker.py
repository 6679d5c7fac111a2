"""A circuit breaker: stops asking a provider that fails again and again, for a growing pause.

Closed: requests go through. After some failures in a row it opens: no requests until its pause is over, then one, as a
trial. If the trial fails, it opens again for twice as long; any success closes it. Requests from before it opened do
not count if they fail late. No I/O; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Breaker"]

FAILURES = 3
"""Failures in a row. A single one may be due to the request, and each was retried several times."""

FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 300.0
"""So a provider that is back is noticed after this time at most."""


class Breaker:
    """The state of one provider; each request has a ticket, to be settled once."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begin closed."""
        self._monotonic = monotonic
        self._round = 0
        self._failures = 0
        self._tries = False
        self.pause_seconds = 0.0
        """How long it opened for; 0 while it is closed."""
        self.again_at = 0.0
        """When the pause is over, by the clock."""

    @property
    def left_seconds(self) -> float:
        """Return how much of the pause is left; 0 if it is closed."""
        return max(0.0, self.again_at - self._monotonic()) if self.pause_seconds else 0.0

    def admit(self) -> int | None:
        """Return a ticket for a request, or None if none should be made. After a pause only one, until that is
        settled.
        """
        if self.pause_seconds and (self._tries or self.left_seconds):
            return None
        return self.insist()

    def insist(self) -> int:
        """Return a ticket whatever the state is, if there is nobody else to ask."""
        self._tries = self.pause_seconds > 0
        return self._round

    def succeed(self, ticket: int) -> bool:
        """Record a success, however late; return whether that closed the breaker."""
        del ticket
        was_open = self.pause_seconds > 0
        self._failures, self.pause_seconds = 0, 0.0
        self._begin_round(was_open)
        return was_open

    def fail(self, ticket: int) -> bool:
        """Record a failure; return whether that opened the breaker, for the first time or again."""
        if ticket != self._round:
            return False
        self._failures += 1
        if not self.pause_seconds and self._failures < FAILURES:
            return False
        self.pause_seconds = min(2 * self.pause_seconds or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self.again_at = self._monotonic() + self.pause_seconds
        self._begin_round(True)
        return True

    def abandon(self, ticket: int) -> bool:
        """Record that nobody waited for the outcome, so that the next request may be the trial."""
        if ticket == self._round:
            self._tries = False
        return False

    def _begin_round(self, changed: bool) -> None:
        if changed:
            self._round += 1
            self._tries = False
