"""Keeps a platform's rate limits, and the pause after a 429: drafts give way, so that final texts can be sent at once.

Each chat has a budget, and all chats together have one. A call that must be made waits in line, first come first
served, until both have room. A draft never waits: it is sent only if that leaves room for calls that must be made, and
no sooner after the last call than evenly spread calls would be. After the platform has refused a call (a 429), the chat
rests as long as it asks; bursts are left out for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from agentd.delivery.edits import Edits
from channels.pacing import Rate, Rates

__all__ = ["Governor", "RateBudget"]

STRICT_SECONDS = 600
"""How long bursts are left out after the platform complained."""

MOST_IDLE_PLACES = 1_000
"""How many chats are remembered before the idle ones are forgotten."""


class RateBudget(Protocol):
    """The rate budget, as asked before something is sent to a chat."""

    async def turn(self, chat: str) -> None:
        """Wait until a call that must be made may be made, and take its place in the budget."""
        ...

    def draft(self, chat: str, *, reply: object = None, looks_only: bool = False) -> float:
        """Take a place for a draft (a call that can be left out) and return 0; or return the seconds until there is
        one.

        `reply` identifies one that grows: `ended` must follow. `looks_only`: take no place.
        """
        ...

    def ended(self, reply: object) -> None:
        """Note that a reply has come to its end, and release the edit reserved for it."""
        ...

    def rest(self, chat: str, seconds: float) -> None:
        """Make no call to this chat for so long, as the platform asked (429)."""
        ...

    def refused(self, chat: str, seconds: float) -> None:
        """Give the place of a refused call (429) back, and make no call to this chat for so long."""
        ...

    def is_resting(self, chat: str) -> bool:
        """Tell whether that time is not over yet."""
        ...


class _Bucket:
    """A sliding window of `rate.calls` tokens; each comes back a fixed time after it was taken."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._taken: deque[float] = deque(maxlen=rate.calls)

    def take(self, now: float) -> None:
        self._taken.append(now)

    def give_back(self) -> None:
        if self._taken:
            self._taken.pop()

    def wait_seconds(self, now: float, *, spares: bool = False) -> float:
        """Return how long until a token is free; `spares`: until some remain for calls that must be made."""
        left = min(max(self.rate.calls // 3, 1), self.rate.calls - 1) if spares else 0
        until = len(self._taken) - (self.rate.calls - left)
        return max(self._taken[until] + self.rate.seconds - now, 0.0) if until >= 0 else 0.0

    def is_whole(self, now: float) -> bool:
        """Tell whether every token is free."""
        return not self._taken or self._taken[-1] + self.rate.seconds <= now


class _Place:
    """The budget of one chat; a group has two rates."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        self._buckets = [_Bucket(rate) for rate in rates]
        pauses = [rate.pause_seconds for rate in rates]
        self._strict_seconds = min(pauses, default=0.0)
        self._even_seconds = max(pauses, default=0.0)
        self._last_call = -inf
        self._strict_until = -inf
        self.rests_until = -inf
        self.line = asyncio.Lock()
        self.waiting = 0
        """How many calls that must be made wait in the line or are its first."""

    def take(self, now: float) -> None:
        self._last_call = now
        for bucket in self._buckets:
            bucket.take(now)

    def give_back(self) -> None:
        for bucket in self._buckets:
            bucket.give_back()

    def wait_seconds(self, now: float) -> float:
        """Return how long a call that must be made has to wait."""
        waits = (bucket.wait_seconds(now) for bucket in self._buckets)
        strict = self._last_call + self._strict_seconds - now if now < self._strict_until else 0.0
        return max(*waits, strict, self.rests_until - now, 0.0)

    def draft_wait_seconds(self, now: float) -> float:
        """Return how long until there is room for a draft; it gives way to calls that wait already."""
        waits = (bucket.wait_seconds(now, spares=True) for bucket in self._buckets)
        even = self._last_call + self._even_seconds - now
        return max(*waits, even, self.rests_until - now, self._even_seconds if self.waiting else 0.0, 0.0)

    def rest(self, now: float, seconds: float) -> None:
        self.rests_until = max(self.rests_until, now + seconds)
        self._strict_until = now + STRICT_SECONDS

    def is_idle(self, now: float) -> bool:
        """Tell whether forgetting this chat would change nothing."""
        rested = now >= max(self.rests_until, self._strict_until, self._last_call + self._even_seconds)
        return rested and not self.waiting and all(bucket.is_whole(now) for bucket in self._buckets)


class Governor:
    """The rate budget of one channel; a `RateBudget`."""

    def __init__(self, rates: Rates, monotonic: Callable[[], float]) -> None:
        """Begin with the whole budget."""
        self._monotonic = monotonic
        self._rates = rates
        self._over_all = _Bucket(rates.over_all) if rates.over_all else None
        self._edits = Edits(rates.edits, monotonic)
        self._line = asyncio.Lock()
        self._places: dict[str, _Place] = {}

    async def turn(self, chat: str) -> None:
        """Wait until a call that must be made may be made, and take its place in the budget; first come, first served.

        Chats wait for one another only when the common budget is used up.
        """
        place = self._place(chat)
        place.waiting += 1
        try:
            async with place.line:
                while not await self._is_taken(place):
                    pass
        finally:
            place.waiting -= 1

    def draft(self, chat: str, *, reply: object = None, looks_only: bool = False) -> float:
        """Take a place for a draft and return 0; or return the seconds until there is one."""
        place, now = self._place(chat), self._monotonic()
        common = self._over_all.wait_seconds(now, spares=True) if self._over_all else 0.0
        seconds = max(place.draft_wait_seconds(now), common, self._edits.wait_seconds(reply))
        if seconds <= 0 and not looks_only:
            self._take(place, now)
            self._edits.pledge(reply)
        return seconds

    def ended(self, reply: object) -> None:
        """Note that a reply has come to its end, and release the edit reserved for it."""
        self._edits.ended(reply)

    def rest(self, chat: str, seconds: float) -> None:
        """Make no call to this chat for so long, and leave bursts out for a while."""
        self._place(chat).rest(self._monotonic(), seconds)

    def refused(self, chat: str, seconds: float) -> None:
        """Give the place of a refused call (429) back, and make no call to this chat for so long."""
        self._place(chat).give_back()
        if self._over_all is not None:
            self._over_all.give_back()
        self.rest(chat, seconds)

    def is_resting(self, chat: str) -> bool:
        """Tell whether the platform asked for a pause in this chat that is not over."""
        return self._place(chat).rests_until > self._monotonic()

    async def _is_taken(self, place: _Place) -> bool:
        """Wait for room in the chat, then overall; return False if the chat has lost its room meanwhile (a 429)."""
        await self._passed(place.wait_seconds)
        async with self._line:
            if self._over_all is not None:
                await self._passed(self._over_all.wait_seconds)
            now = self._monotonic()
            if place.wait_seconds(now) > 0:
                return False
            self._take(place, now)
            return True

    async def _passed(self, wait_seconds: Callable[[float], float]) -> None:
        while True:
            seconds = wait_seconds(self._monotonic())
            if seconds <= 0:
                return
            await asyncio.sleep(seconds)

    def _take(self, place: _Place, now: float) -> None:
        place.take(now)
        if self._over_all is not None:
            self._over_all.take(now)

    def _place(self, chat: str) -> _Place:
        place = self._places.get(chat)
        if place is None:
            self._forget_idle()
            group = self._rates.group if self._rates.is_group(chat) else None
            place = self._places[chat] = _Place([rate for rate in (self._rates.chat, group) if rate is not None])
        return place

    def _forget_idle(self) -> None:
        if len(self._places) >= MOST_IDLE_PLACES:
            now = self._monotonic()
            self._places = {chat: place for chat, place in self._places.items() if not place.is_idle(now)}
