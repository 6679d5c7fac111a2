"""This module enforces Slack's rate limits on an app's calls, with 429 for one that does not wait.

https://docs.slack.dev/apis/web-api/rate-limits: each method by itself, posting by channel.
"""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.platforms.slackapi.answers import Params, Refused, too_many

POST: Final = "chat.postMessage"
TIER_3: Final = 50
TIER_4: Final = 100
TIERS: Final[Mapping[str, int]] = {
    "chat.update": TIER_3,
    "chat.delete": TIER_3,
    "conversations.history": TIER_3,
    "conversations.replies": TIER_3,
    "conversations.info": TIER_3,
    "conversations.open": TIER_3,
    "users.info": TIER_4,
    "files.info": TIER_4,
}
"""Calls a minute; "or more" in each case."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates, as far as they are published."""

    channel_seconds: float = 1
    """Between two messages that are posted in one channel."""
    channel_burst: int = 1
    """So many may come at once after a pause as long as they would have taken; 1 is no burst at all."""
    per_minute: Mapping[str, int] = field(default_factory=lambda: TIERS)
    """By method; what is not here may be called at will."""
    tolerance_seconds: float = 0.02
    """The network's jitter: calls that left in time may arrive this much closer together."""
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Violation:
    """A call that did not wait as long as it had been told."""

    scope: str
    early_seconds: float


class Governor:
    """Holds the app to the rates."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nothing called."""
        self.limits = limits
        self.violations: list[Violation] = []
        self._called: dict[str, deque[float]] = defaultdict(deque)
        self._closed_until: dict[str, float] = {}

    def admit(self, method: str, params: Params) -> None:
        """Let a call pass, or raise Refused: ratelimited."""
        now = self.limits.clock()
        scope, most, span = self._rate(method, params)
        left = self._closed_until.get(scope, now) - now
        if left > self.limits.tolerance_seconds:
            self.violations.append(Violation(scope, left))
            raise too_many(math.ceil(left))
        called = self._called[scope]
        while called and called[0] <= now - span + self.limits.tolerance_seconds:
            called.popleft()
        if len(called) >= most:
            raise self._close(scope, math.ceil(called[-most] + span - now), now)
        called.append(now)

    def close(self, method: str, params: Params, retry_after: int) -> Refused:
        """Let no such call pass for so many seconds, and return the refusal that says so."""
        return self._close(self._rate(method, params)[0], retry_after, self.limits.clock())

    def _close(self, scope: str, seconds: int, now: float) -> Refused:
        self._closed_until[scope] = now + seconds
        return too_many(seconds)

    def _rate(self, method: str, params: Params) -> tuple[str, int, float]:
        """Return what counts together with a call, and how many may come within how many seconds."""
        if method == POST:
            burst = self.limits.channel_burst
            return f"{method} {params['channel']}", burst, burst * self.limits.channel_seconds
        return method, self.limits.per_minute.get(method, sys.maxsize), 60
