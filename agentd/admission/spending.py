"""The daily token budgets, per person and overall: counts what requests cost, and refuses those over a limit.

A day is one of UTC. Requests are checked one by one: concurrent ones may together exceed a limit. Tokens count at once,
in memory; `take_changed` returns what is to be saved to disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from agentd.admission.settings import LimitsSettings

__all__ = ["Spending", "person_id"]

Day = str
Person = str
"""CHANNEL:SENDER. Tokens are counted for each; the limit is on all accounts of a person, once they are linked."""

Tokens = Mapping[tuple[Day, Person], int]


def person_id(channel: str, sender: str) -> Person:
    """Return the name under which a person's tokens are counted."""
    return f"{channel}:{sender}"


class Spending:
    """The tokens spent, and the limits; a limit of 0 is none."""

    def __init__(
        self,
        settings: LimitsSettings,
        spent: Tokens,
        clock: Callable[[], datetime],
        accounts_of: Callable[[Person], Collection[Person]] = lambda person: (person,),
    ) -> None:
        """Begin with what earlier runs spent; the clock returns the time in UTC, `accounts_of` all that are linked."""
        self.change(settings)
        self._clock = clock
        self._accounts_of = accounts_of
        self._spent = dict(spent)
        self._totals: dict[Day, int] = {}
        for (day, _), tokens in self._spent.items():
            self._totals[day] = self._totals.get(day, 0) + tokens
        self._changed: set[tuple[Day, Person]] = set()

    def change(self, settings: LimitsSettings) -> None:
        """Use other limits from the next request on."""
        self._person_limit = settings.tokens_per_person_per_day
        self._limit = settings.tokens_per_day

    def refusal(self, person: Person, needed_tokens: int) -> str:
        """Return why a request of this size is refused and when to try again; "" if it is allowed."""
        now = self._clock()
        over = self._over(person, needed_tokens, _day(now))
        if over is None:
            return ""
        limit, whose = over
        return too_large_text(needed_tokens, limit) if needed_tokens > limit else used_up_text(whose, now)

    def wait_seconds(self, person: Person, needed_tokens: int) -> float:
        """Return how long a request of this size has to wait: 0 if not at all, infinity if it exceeds a whole day's
        budget.
        """
        now = self._clock()
        over = self._over(person, needed_tokens, _day(now))
        if over is None:
            return 0.0
        return math.inf if needed_tokens > over[0] else (_next_day(now) - now).total_seconds()

    def _over(self, person: Person, needed_tokens: int, day: Day) -> tuple[int, str] | None:
        """Return the limit that the request would exceed, and whose it is; None if none."""
        own = sum(self._spent.get((day, account), 0) for account in self._accounts_of(person))
        limits = (
            (self._person_limit, own, "Your"),
            (self._limit, self._totals.get(day, 0), "Everybody's"),
        )
        over = ((limit, whose) for limit, spent, whose in limits if limit and spent + needed_tokens > limit)
        return next(over, None)

    def spend(self, person: Person, tokens: int) -> None:
        """Count all tokens that a request cost, prompt and answer."""
        if tokens <= 0:
            return
        day = _day(self._clock())
        if day not in self._totals:
            self._forget_before(day)
        self._spent[day, person] = self._spent.get((day, person), 0) + tokens
        self._totals[day] = self._totals.get(day, 0) + tokens
        self._changed.add((day, person))

    def take_changed(self) -> dict[tuple[Day, Person], int]:
        """Return the totals that have changed since the last call, to be saved over the earlier ones."""
        changed = {key: self._spent[key] for key in sorted(self._changed)}
        self._changed.clear()
        return changed

    def put_back(self, totals: Tokens) -> None:
        """Note that saving these failed: `take_changed` returns them again."""
        self._changed |= totals.keys() & self._spent.keys()

    def forget(self, people: Collection[Person]) -> None:
        """Forget what these people spent.

        A save under way has handed its totals to the database before, so deleting them there next leaves none.
        """
        for key in [key for key in self._spent if key[1] in people]:
            self._totals[key[0]] -= self._spent.pop(key)
            self._changed.discard(key)

    def __len__(self) -> int:
        """Return how many (day, person) totals are remembered."""
        return len(self._spent)

    def _forget_before(self, day: Day) -> None:
        """Forget past days, except the latest (a clock may be set back) and what is not saved yet."""
        kept = sorted({*self._totals, day})[-2:]
        over = {key for key in self._spent if key[0] not in kept} - self._changed
        for key in over:
            self._totals[key[0]] -= self._spent.pop(key)
        self._totals = {known: total for known, total in self._totals.items() if total}


def used_up_text(whose: str, now: datetime) -> str:
    """Say that a day's budget is used up, and when the next begins."""
    hours, minutes = divmod(-((now - _next_day(now)) // timedelta(minutes=1)), 60)
    wait = f"{hours} h {minutes} min" if hours else f"{minutes} min"
    return (
        f"{whose} budget of tokens for today does not cover another answer: please write again in {wait}, "
        "after midnight UTC."
    )


def too_large_text(needed_tokens: int, limit: int) -> str:
    """Say that one answer may cost more than a whole day allows."""
    return (
        f"An answer here may take {needed_tokens} tokens, and a whole day allows {limit}: "
        "please begin a new conversation with /new, or ask whoever runs me for a larger budget."
    )


def _next_day(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _day(now: datetime) -> Day:
    return now.date().isoformat()
