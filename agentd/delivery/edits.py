"""Shares a platform's budget of edits among all growing replies, so that each keeps one for its end.

A reply that is sent whole needs no edit. One that grows needs at least one, for its final text: it is pledged when the
reply begins to grow, which it does only while the budget covers all pledges. Growing on is allowed only while some more
edits are left over for replies that begin.
"""

from __future__ import annotations

from collections.abc import Callable

from channels.pacing import EditsWait

__all__ = ["AGAIN_SECONDS", "PLEDGE_SECONDS", "SPARE", "Edits"]

SPARE = 16
"""Edits that growing replies leave over for those that begin."""

AGAIN_SECONDS = 1.0
"""Longest wait before looking again: nobody can predict when a reply ends and frees its edit."""

PLEDGE_SECONDS = 600
"""A pledge older than this is dropped: its reply was given up."""


class Edits:
    """Decides which replies may begin to grow, and which may grow on."""

    def __init__(self, wait: EditsWait | None, monotonic: Callable[[], float]) -> None:
        """`wait` asks the platform's budget of edits; None: there is no limit."""
        self._wait = wait
        self._monotonic = monotonic
        self._pledges: dict[object, float] = {}

    def wait_seconds(self, reply: object) -> float:
        """Return how long to wait until a reply may begin to grow or, if it has begun, grow on; ask again then."""
        if self._wait is None:
            return 0.0
        self._forget_old()
        grows = reply in self._pledges
        needed = len(self._pledges) + 1 + (SPARE if grows else 0)
        return min(self._wait(needed), AGAIN_SECONDS)

    def pledge(self, reply: object) -> None:
        """Reserve an edit for the end of a reply, unless that is done."""
        if self._wait is not None:
            self._pledges.setdefault(reply, self._monotonic())

    def ended(self, reply: object) -> None:
        """Release the edit reserved for this reply."""
        self._pledges.pop(reply, None)

    def _forget_old(self) -> None:
        while self._pledges:
            oldest = next(iter(self._pledges))
            if self._pledges[oldest] + PLEDGE_SECONDS > self._monotonic():
                return
            del self._pledges[oldest]
