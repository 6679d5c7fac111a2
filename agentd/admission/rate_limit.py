"""The message rate limit per person: never more than the limit within a minute, by the platform's clock.

A message counts by when it was sent, not when it came: what was written over a day and is delivered at once is no
flood. A redelivery is recognised while that matters; it neither counts twice nor is dropped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

__all__ = ["Person", "RateLimiter", "RateVerdict"]

Person = tuple[str, str]
"""A channel, and the sender's id there."""

MessageKey = tuple[str, str]
"""A chat, and the message's id there."""

WINDOW = timedelta(minutes=1)

REMEMBERED_SECONDS = 600
"""How long a message is remembered after it came, to recognise a redelivery: channels redeliver within about a
minute.
"""


class RateVerdict(Enum):
    """The verdict on a message."""

    ADMIT = "admit"
    WARN = "warn"
    """It is too much, and the person is to be told: none of theirs was dropped in the minute before."""
    DROP = "drop"
    """It is too much, and the person was told."""


@dataclass(slots=True)
class _History:
    """One person's admitted messages, in order of arrival, and when the last dropped one was sent."""

    admitted: OrderedDict[MessageKey, tuple[datetime, float]] = field(default_factory=OrderedDict)
    times: list[datetime] = field(default_factory=list)
    """When the admitted messages were sent, sorted."""
    dropped: datetime | None = None
    seen: float = 0


class RateLimiter:
    """Judges each person's messages; a minute is any minute, in whichever order messages come."""

    def __init__(self, per_minute: int) -> None:
        """Begin with nobody remembered."""
        self._most = per_minute
        self._people: OrderedDict[Person, _History] = OrderedDict()

    def change(self, per_minute: int) -> None:
        """Allow this many from the next message on."""
        self._most = per_minute

    def judge(self, person: Person, message: MessageKey, sent_at: datetime, now_seconds: float) -> RateVerdict:
        """Return the verdict on a message that comes at `now_seconds` (a monotonic clock)."""
        self._forget(now_seconds)
        history = self._people.setdefault(person, _History())
        self._people.move_to_end(person)
        history.seen = now_seconds
        _forget_messages(history, now_seconds)
        known = history.admitted.pop(message, None)
        if known is None and self._is_too_much(history.times, sent_at):
            is_news = history.dropped is None or abs(sent_at - history.dropped) >= WINDOW
            history.dropped = sent_at
            return RateVerdict.WARN if is_news else RateVerdict.DROP
        if known is None:
            insort(history.times, sent_at)
        history.admitted[message] = (known[0] if known else sent_at, now_seconds)
        return RateVerdict.ADMIT

    def unwarn(self, person: Person) -> None:
        """Note that the person could not be told: the next message that is too much is a warning again."""
        if person in self._people:
            self._people[person].dropped = None

    def __len__(self) -> int:
        """Return how many people are remembered."""
        return len(self._people)

    def _is_too_much(self, times: list[datetime], sent_at: datetime) -> bool:
        near = times[bisect_right(times, sent_at - WINDOW) : bisect_left(times, sent_at + WINDOW)]
        insort(near, sent_at)
        return any(last - first < WINDOW for first, last in zip(near, near[self._most :], strict=False))

    def _forget(self, now_seconds: float) -> None:
        """Forget people who have not written for `REMEMBERED_SECONDS`."""
        while self._people:
            person, history = next(iter(self._people.items()))
            if now_seconds - history.seen <= REMEMBERED_SECONDS:
                return
            del self._people[person]


def _forget_messages(history: _History, now_seconds: float) -> None:
    while history.admitted:
        sent_at, came = next(iter(history.admitted.values()))
        if now_seconds - came <= REMEMBERED_SECONDS:
            return
        history.admitted.popitem(last=False)
        del history.times[bisect_left(history.times, sent_at)]
