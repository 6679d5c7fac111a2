"""How often Slack may be called over the whole workspace; it counts each method by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from channels.backoff import Growing
from channels.errors import RateLimited
from channels.pacing import Rate

__all__ = ["TIER_3", "Budget", "Lull"]

TIER_3 = Rate(50, 61.0)
"""Fifty calls a minute and more (https://docs.slack.dev/apis/web-api/rate-limits): of `chat.update`, and of the methods
that read histories. The second more is for the network.
"""


class Lull:
    """A pause in all that is shown, while Slack refuses that for a time it does not tell: it grows with each refusal.

    Calls that were under way together count once.
    """

    def __init__(self, growing: Growing, monotonic: Callable[[], float]) -> None:
        """Begin without one."""
        self._growing = growing
        self._monotonic = monotonic
        self._until = 0.0
        self._tries = 0

    def check(self) -> None:
        """Raise RateLimited while it lasts."""
        left = self._until - self._monotonic()
        if left > 0:
            raise RateLimited("Slack wants to be left alone for a time", left)

    def refused(self) -> float:
        """Begin it, or make it longer where it was over; return how long it is from now."""
        now = self._monotonic()
        if now >= self._until:
            self._until = now + self._growing.after(self._tries)
            self._tries += 1
        return self._until - now

    def passed(self) -> None:
        """Note that Slack has shown something: the next pause is a short one again."""
        self._tries = 0


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
        wait = self.wait_seconds(1)
        if wait > 0:
            raise RateLimited("there were as many such calls as Slack allows in a minute", wait)
        self._taken.append(self._monotonic())

    def wait_seconds(self, count: int) -> float:
        """Return how long it takes until so many can be taken one right after the other."""
        now, over = self._monotonic(), len(self._taken) + count - self._rate.calls
        if over > len(self._taken):
            return self._rate.seconds  # there are never so many
        full = self._taken[over - 1] + self._rate.seconds if over > 0 else 0.0
        return max(full - now, self._rests_until - now, 0.0)

    def rest(self, seconds: float) -> None:
        """Note that Slack wants no more for so long."""
        self._rests_until = max(self._rests_until, self._monotonic() + seconds)
