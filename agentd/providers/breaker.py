"""Keeps a provider that fails again and again from being asked, for a time.

Closed: whoever wants may ask. After some failures in a row it opens: nobody asks until its pause is over, then one
does, as a trial. The trial's failure opens it again for twice as long, any answer closes it. What was asked before it
opened has no say in that by failing late. No I/O; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Breaker"]

FAILURES = 3
"""In a row. One may be about the request alone, and every one was tried several times."""

FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 300.0
"""A provider that is back waits no longer than this for somebody to notice."""


class Breaker:
    """The state of one provider; each asking has a ticket, to be settled once."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begin closed."""
        self._monotonic = monotonic
        self._round = 0
        self._failures = 0
        self._tries = False
        self.pause_seconds = 0.0
        """How long it was opened for; 0 while it is closed."""
        self.again_at = 0.0
        """When the pause is over, by the clock."""

    @property
    def left_seconds(self) -> float:
        """How much of the pause is left; 0 while it is closed too."""
        return max(0.0, self.again_at - self._monotonic()) if self.pause_seconds else 0.0

    def admit(self) -> int | None:
        """Return a ticket to ask with; None where nobody should. After a pause only one is let in, until it settles."""
        if self.pause_seconds and (self._tries or self.left_seconds):
            return None
        return self.insist()

    def insist(self) -> int:
        """Return a ticket whatever the state is, for someone who has nobody else to ask."""
        self._tries = self.pause_seconds > 0
        return self._round

    def succeed(self, ticket: int) -> bool:
        """Take an answer, however late; tell whether that closed it."""
        del ticket
        was_open = self.pause_seconds > 0
        self._failures, self.pause_seconds = 0, 0.0
        self._begin_round(was_open)
        return was_open

    def fail(self, ticket: int) -> bool:
        """Take a failure; tell whether that opened it, for the first time or again."""
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
        """Take it that nobody waited for the outcome; the next may try."""
        if ticket == self._round:
            self._tries = False
        return False

    def _begin_round(self, changed: bool) -> None:
        if changed:
            self._round += 1
            self._tries = False
