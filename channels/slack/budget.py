"""This module keeps to Slack's rate limits over a workspace: a budget for each method, and pauses after a 429."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from channels.backoff import Growing
from channels.errors import RateLimited
from channels.pacing import Rate

__all__ = ["TIER_3", "Budget", "Lull"]

TIER_3 = Rate(50, 61.0)
"""The rate of `chat.update` and of the methods that read histories: fifty calls a minute and more
(https://docs.slack.dev/apis/web-api/rate-limits). The extra second is for the network.
"""


class Lull:
    """A pause in all sending after a 429 without a `Retry-After`; it grows with each refusal.

    Refusals of calls that were under way at the same time count once.
    """

    def __init__(self, growing: Growing, monotonic: Callable[[], float]) -> None:
        """Begin without a pause."""
        self._growing = growing
        self._monotonic = monotonic
        self._until = 0.0
        self._tries = 0

    def check(self) -> None:
        """Raise RateLimited while the pause lasts."""
        left = self._until - self._monotonic()
        if left > 0:
            raise RateLimited("Slack wants to be left alone for a time", left)

    def refused(self) -> float:
        """Begin a pause, longer than the last one, unless one lasts already; return the seconds that are left of it."""
        now = self._monotonic()
        if now >= self._until:
            self._until = now + self._growing.after(self._tries)
            self._tries += 1
        return self._until - now

    def passed(self) -> None:
        """Note that a call was accepted: the next pause is the shortest again."""
        self._tries = 0


class Budget:
    """Counts the calls of one method; one beyond its rate is not made, but raises RateLimited with the time to wait."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float]) -> None:
        """Begin with no calls made."""
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
        """Return the seconds until `count` calls can be made one right after the other."""
        now, over = self._monotonic(), len(self._taken) + count - self._rate.calls
        if over > len(self._taken):
            return self._rate.seconds  # the rate never allows so many
        full = self._taken[over - 1] + self._rate.seconds if over > 0 else 0.0
        return max(full - now, self._rests_until - now, 0.0)

    def rest(self, seconds: float) -> None:
        """Allow no call for that many seconds, as Slack asked for."""
        self._rests_until = max(self._rests_until, self._monotonic() + seconds)
