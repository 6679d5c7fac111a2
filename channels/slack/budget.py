"""How often one method may be called over the whole workspace: Slack counts each method by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from channels.errors import RateLimited
from channels.pacing import Rate

__all__ = ["TIER_3", "Budget"]

TIER_3 = Rate(50, 61.0)
"""Fifty calls a minute and more (https://docs.slack.dev/apis/web-api/rate-limits): of `chat.update`, and of the methods
that read histories. The second more is for the network.
"""


class Budget:
    """The calls of one method. One that there is no room for is not made: who asks is told when there will be."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float]) -> None:
        """Begin with the whole of it."""
        self._rate = rate
        self._monotonic = monotonic
        self._taken: deque[float] = deque(maxlen=rate.calls)
        self._rests_until = 0.0

    def take(self) -> None:
        """Take one call. Raises RateLimited."""
        now = self._monotonic()
        full = self._taken[0] + self._rate.seconds if len(self._taken) == self._rate.calls else 0.0
        wait = max(full, self._rests_until) - now
        if wait > 0:
            raise RateLimited("there were as many such calls as Slack allows in a minute", wait)
        self._taken.append(now)

    def rest(self, seconds: float) -> None:
        """Note that Slack wants no more for so long."""
        self._rests_until = max(self._rests_until, self._monotonic() + seconds)
