"""How often a platform lets itself be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["UNPACED", "EditsWait", "Rate", "Rates"]


@dataclass(frozen=True, slots=True)
class Rate:
    """No more than so many calls in any stretch of so many seconds."""

    calls: int
    seconds: float

    @property
    def pause_seconds(self) -> float:
        """The time between two calls that are spread evenly."""
        return self.seconds / self.calls


EditsWait = Callable[[int], float]
"""Tells how long it takes until so many edits may be made, one right after the other."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits on messages, edits and deletions; None: there is none."""

    chat: Rate | None = None
    """Of each chat, a group too."""
    group: Rate | None = None
    over_all: Rate | None = None
    is_group: Callable[[str], bool] = lambda chat: False
    """Tells by a chat's id whether it is a group, with a further limit."""
    edits: EditsWait | None = None
    """The budget of edits over all chats, which the channel keeps; None: there is none."""


UNPACED = Rates()
