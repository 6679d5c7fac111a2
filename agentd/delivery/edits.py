"""The budget of edits over all chats: what grows leaves room for the end of every reply that was begun.

A reply that is sent whole needs no edit. One that begins to grow needs one at least, for its end: it is pledged when
the reply begins, which it does only where that many are left. Growing on takes more, and leaves some to begin with.
"""

from __future__ import annotations

from collections.abc import Callable

from channels.pacing import EditsWait

__all__ = ["AGAIN_SECONDS", "PLEDGE_SECONDS", "SPARE", "Edits"]

SPARE = 16
"""Edits that are left, where others grow, for replies that begin."""

AGAIN_SECONDS = 1.0
"""Until it is looked again at the latest: when a reply ends, nobody can tell."""

PLEDGE_SECONDS = 600
"""A reply that has not ended by then was given up."""


class Edits:
    """Who may begin, and grow."""

    def __init__(self, wait: EditsWait | None, monotonic: Callable[[], float]) -> None:
        """`wait` is the platform's budget; without one, everyone may."""
        self._wait = wait
        self._monotonic = monotonic
        self._pledges: dict[object, float] = {}

    def wait_seconds(self, reply: object) -> float:
        """Return how long it takes until a reply may begin or, where it has, grow; look again then."""
        if self._wait is None:
            return 0.0
        self._forget_old()
        grows = reply in self._pledges
        needed = len(self._pledges) + 1 + (SPARE if grows else 0)
        return min(self._wait(needed), AGAIN_SECONDS)

    def pledge(self, reply: object) -> None:
        """Keep an edit for the end of a reply, unless that is done."""
        if self._wait is not None:
            self._pledges.setdefault(reply, self._monotonic())

    def ended(self, reply: object) -> None:
        """Keep none any more."""
        self._pledges.pop(reply, None)

    def _forget_old(self) -> None:
        while self._pledges:
            oldest = next(iter(self._pledges))
            if self._pledges[oldest] + PLEDGE_SECONDS > self._monotonic():
                return
            del self._pledges[oldest]
