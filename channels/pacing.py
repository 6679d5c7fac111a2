"""This module defines a platform's rate limits: how many messages and edits it takes in a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["UNPACED", "EditsWait", "Rate", "Rates"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: at most `calls` calls in any stretch of `seconds` seconds."""

    calls: int
    seconds: float

    @property
    def pause_seconds(self) -> float:
        """The time between two calls that are spread evenly."""
        return self.seconds / self.calls


EditsWait = Callable[[int], float]
"""Returns the seconds until that many edits may be made, one right after the other."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate limits on messages, edits and deletions; None: there is no limit."""

    chat: Rate | None = None
    """The limit of each chat, groups included."""
    group: Rate | None = None
    over_all: Rate | None = None
    is_group: Callable[[str], bool] = lambda chat: False
    """Tells by a chat's id whether it is a group, for which the limit `group` holds as well."""
    edits: EditsWait | None = None
    """The budget of edits over all chats, which the channel keeps; None: there is none."""


UNPACED = Rates()
