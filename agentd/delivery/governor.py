"""The rate budget of a platform: what grows on the screen gives way, so that what must be said can be said at once.

Each chat has a budget, and all of them together. A call that must be made waits until both have room. A draft never
waits: it is made only if that leaves room for what must be said, and no sooner after the call before than calls that
are spread evenly. A platform that has had too many is left alone as long as it says; bursts it does not take are not
tried again for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Protocol

from channels.pacing import Rate, Rates

__all__ = ["Governor", "Pace"]

LEAST_PAUSE_SECONDS = 0.05
"""Between two drafts where the platform sets no limit: a screen that changes more often reads no better."""

STRICT_SECONDS = 600
"""How long bursts are left out after the platform complained."""

MOST_IDLE_PLACES = 1_000
"""Chats that are remembered although nothing is known of them that matters any more."""


class Pace(Protocol):
    """What is asked before a chat is shown something."""

    async def turn(self, chat: str) -> None:
        """Wait until a call that must be made may be made, and take its place in the budget."""
        ...

    def may_draft(self, chat: str) -> bool:
        """Tell whether a call that can be left out may be made now; if so, take its place in the budget."""
        ...

    def rest(self, chat: str, seconds: float) -> None:
        """Call nothing there for so long: the platform wants it so."""
        ...

    def is_resting(self, chat: str) -> bool:
        """Tell whether that time is not over."""
        ...


class _Bucket:
    """So many tokens; each that is taken comes back a fixed time later."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._taken: deque[float] = deque(maxlen=rate.calls)

    def take(self, now: float) -> None:
        self._taken.append(now)

    def free(self, now: float) -> int:
        return self.rate.calls - sum(at + self.rate.seconds > now for at in self._taken)

    def wait_seconds(self, now: float) -> float:
        if len(self._taken) < self.rate.calls:
            return 0.0
        return max(self._taken[0] + self.rate.seconds - now, 0.0)

    @property
    def spare(self) -> int:
        """How many tokens drafts leave."""
        return min(max(self.rate.calls // 3, 1), self.rate.calls - 1)


class _Place:
    """One chat."""

    def __init__(self, rate: Rate | None, over_all: _Bucket | None) -> None:
        own = _Bucket(rate) if rate else None
        self._own = [own] if own else []
        self._buckets = [*self._own, over_all] if over_all else self._own
        self._pause_seconds = max(rate.pause_seconds if rate else 0.0, LEAST_PAUSE_SECONDS)
        self._last_call = -inf
        self.rests_until = -inf
        self._strict_until = -inf

    def take(self, now: float) -> None:
        self._last_call = now
        for bucket in self._buckets:
            bucket.take(now)

    def wait_seconds(self, now: float) -> float:
        """Return how long a call that must be made has to wait."""
        waits = [bucket.wait_seconds(now) for bucket in self._buckets]
        strict = self._last_call + self._pause_seconds - now if now < self._strict_until else 0.0
        return max(*waits, strict, self.rests_until - now, 0.0)

    def has_spare(self, now: float) -> bool:
        """Tell whether there is room for a draft."""
        is_time = now >= max(self._last_call + self._pause_seconds, self.rests_until)
        return is_time and all(bucket.free(now) > bucket.spare for bucket in self._buckets)

    def rest(self, now: float, seconds: float) -> None:
        self.rests_until = max(self.rests_until, now + seconds)
        self._strict_until = now + STRICT_SECONDS

    def is_idle(self, now: float) -> bool:
        """Tell whether a new place would do the same from now on."""
        rested = now >= max(self.rests_until, self._strict_until, self._last_call + self._pause_seconds)
        return rested and all(bucket.free(now) == bucket.rate.calls for bucket in self._own)


class Governor:
    """The budget of one channel; a `Pace`."""

    def __init__(self, rates: Rates, monotonic: Callable[[], float]) -> None:
        """Begin with the whole budget."""
        self._monotonic = monotonic
        self._rates = rates
        self._over_all = _Bucket(rates.over_all) if rates.over_all else None
        self._places: dict[str, _Place] = {}

    async def turn(self, chat: str) -> None:
        """Wait until a call that must be made may be made, and take its place in the budget."""
        # Several may wait for one chat: each looks again once it has waited.
        while True:
            place, now = self._place(chat), self._monotonic()
            seconds = place.wait_seconds(now)
            if seconds <= 0:
                place.take(now)
                return
            await asyncio.sleep(seconds)

    def may_draft(self, chat: str) -> bool:
        """Tell whether a call that can be left out may be made now; if so, take its place in the budget."""
        place, now = self._place(chat), self._monotonic()
        if not place.has_spare(now):
            return False
        place.take(now)
        return True

    def rest(self, chat: str, seconds: float) -> None:
        """Call nothing there for so long, and leave out bursts for a while."""
        self._place(chat).rest(self._monotonic(), seconds)

    def is_resting(self, chat: str) -> bool:
        """Tell whether the platform wants to be left alone there."""
        return self._place(chat).rests_until > self._monotonic()

    def _place(self, chat: str) -> _Place:
        place = self._places.get(chat)
        if place is None:
            self._forget_idle()
            rate = self._rates.group if self._rates.is_group(chat) else self._rates.chat
            place = self._places[chat] = _Place(rate, self._over_all)
        return place

    def _forget_idle(self) -> None:
        if len(self._places) >= MOST_IDLE_PLACES:
            now = self._monotonic()
            self._places = {chat: place for chat, place in self._places.items() if not place.is_idle(now)}
