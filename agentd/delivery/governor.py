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

STRICT_SECONDS = 600
"""How long bursts are left out after the platform complained."""

MOST_IDLE_PLACES = 1_000
"""Chats that are remembered although nothing is known of them that matters any more."""


class Pace(Protocol):
    """What is asked before a chat is shown something."""

    async def turn(self, chat: str) -> None:
        """Wait until a call that must be made may be made, and take its place in the budget."""
        ...

    def draft(self, chat: str) -> float:
        """Take a place for a call that can be left out, and return 0; or return the seconds until there is one."""
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

    def wait_seconds(self, now: float, *, spares: bool = False) -> float:
        """Return how long it takes until a token is there; `spares`: so that some are left for what must be said."""
        left = min(max(self.rate.calls // 3, 1), self.rate.calls - 1) if spares else 0
        until = len(self._taken) - (self.rate.calls - left)
        return max(self._taken[until] + self.rate.seconds - now, 0.0) if until >= 0 else 0.0

    def is_whole(self, now: float) -> bool:
        """Tell whether every token is there."""
        return not self._taken or self._taken[-1] + self.rate.seconds <= now


class _Place:
    """One chat."""

    def __init__(self, rate: Rate | None, over_all: _Bucket | None) -> None:
        own = _Bucket(rate) if rate else None
        self._own = [own] if own else []
        self._buckets = [*self._own, over_all] if over_all else self._own
        self._pause_seconds = rate.pause_seconds if rate else 0.0
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

    def draft_wait_seconds(self, now: float) -> float:
        """Return how long it takes until there is room for a draft."""
        waits = [bucket.wait_seconds(now, spares=True) for bucket in self._buckets]
        return max(*waits, self._last_call + self._pause_seconds - now, self.rests_until - now, 0.0)

    def rest(self, now: float, seconds: float) -> None:
        self.rests_until = max(self.rests_until, now + seconds)
        self._strict_until = now + STRICT_SECONDS

    def is_idle(self, now: float) -> bool:
        """Tell whether a new place would do the same from now on."""
        rested = now >= max(self.rests_until, self._strict_until, self._last_call + self._pause_seconds)
        return rested and all(bucket.is_whole(now) for bucket in self._own)


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

    def draft(self, chat: str) -> float:
        """Take a place for a call that can be left out, and return 0; or return the seconds until there is one."""
        place, now = self._place(chat), self._monotonic()
        seconds = place.draft_wait_seconds(now)
        if seconds <= 0:
            place.take(now)
        return seconds

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
