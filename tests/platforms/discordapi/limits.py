"""This module enforces Discord's rate limits: buckets by route and a global limit, with 429.

https://discord.com/developers/docs/topics/rate-limits
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.platforms.discordapi.answers import TooMany

Rate = tuple[int, float]
"""So many calls in so many seconds."""

PROXY: Final = {"Via": "1.1 google"}
"""Stands on every answer that comes from Discord itself; discord.py takes a 429 without it for a ban."""


def _usual_rates() -> dict[str, Rate]:
    return {
        "POST /channels/{channel_id}/messages": (5, 5),
        "PATCH /channels/{channel_id}/messages/{message_id}": (5, 5),
        "DELETE /channels/{channel_id}/messages/{message_id}": (5, 1),
        "GET /channels/{channel_id}/messages": (5, 5),
        "POST /channels/{channel_id}/typing": (5, 5),
        "POST /users/@me/channels": (10, 10),
    }


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates as clients have observed them; Discord publishes none, but says them with every answer."""

    rates: Mapping[str, Rate] = field(default_factory=_usual_rates)
    """Of each route that has a bucket of its own, in each channel."""
    per_second: int = 50
    """Over all routes but those that answer interactions."""
    tolerance_seconds: float = 0.02
    """The network's jitter: calls that left in time may arrive this much earlier."""
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Violation:
    """A call that did not wait as long as it had been told."""

    scope: str
    early_seconds: float


@dataclass(slots=True)
class Bucket:
    """The calls of one route in one channel, since the first of them."""

    used: int = 0
    resets_at: float = 0.0


class Governor:
    """Holds the bot to the rates."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nothing called."""
        self.limits = limits
        self.violations: list[Violation] = []
        self._buckets: dict[str, Bucket] = defaultdict(Bucket)
        self._closed_until: dict[str, float] = {}
        self._all: deque[float] = deque()

    def admit(self, route: str, major: str) -> Mapping[str, str]:
        """Let a call pass, and return the headers that tell of its bucket; raises TooMany."""
        now = self.limits.clock()
        scope = f"{route} {major}".strip()
        self._check_closed("all", now)
        self._check_closed(scope, now)
        self._count_all(now)
        if route not in self.limits.rates:
            return PROXY
        most, seconds = self.limits.rates[route]
        bucket = self._buckets[scope]
        if now >= bucket.resets_at - self.limits.tolerance_seconds:
            bucket.used, bucket.resets_at = 0, now + seconds
        if bucket.used >= most:
            self.close(scope, bucket.resets_at - now)
            raise self._too_many(scope, now, self._headers(route, bucket, now))
        bucket.used += 1
        return self._headers(route, bucket, now)

    def close(self, scope: str, retry_after: float) -> None:
        """Admit no call of this kind for so many seconds; the kind is a route with its channel, or "all"."""
        self._closed_until[scope] = self.limits.clock() + retry_after

    def _check_closed(self, scope: str, now: float) -> None:
        left = self._closed_until.get(scope, now) - now
        if left > self.limits.tolerance_seconds:
            self.violations.append(Violation(scope, left))
            raise self._too_many(scope, now, {})

    def _count_all(self, now: float) -> None:
        while self._all and self._all[0] <= now - 1 + self.limits.tolerance_seconds:
            self._all.popleft()
        if len(self._all) >= self.limits.per_second:
            self.close("all", self._all[0] + 1 - now)
            raise self._too_many("all", now, {})
        self._all.append(now)

    def _too_many(self, scope: str, now: float, headers: Mapping[str, str]) -> TooMany:
        return too_many(self._closed_until[scope] - now, is_global=scope == "all", headers=headers)

    def _headers(self, route: str, bucket: Bucket, now: float) -> Mapping[str, str]:
        most, _ = self.limits.rates[route]
        left = max(bucket.resets_at - now, 0)
        return {
            **PROXY,
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(most - bucket.used),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": hashlib.md5(route.encode(), usedforsecurity=False).hexdigest(),
        }


def too_many(retry_after: float, *, is_global: bool = False, headers: Mapping[str, str] | None = None) -> TooMany:
    """Return the refusal that says how long to wait."""
    told = {**PROXY, **(headers or {}), "Retry-After": str(math.ceil(retry_after))}
    told["X-RateLimit-Scope"] = "global" if is_global else "user"
    if is_global:
        told["X-RateLimit-Global"] = "true"
    return TooMany(round(retry_after, 3), is_global=is_global, headers=told)
