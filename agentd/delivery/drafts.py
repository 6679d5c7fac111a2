"""Schedules the drafts of a growing reply: the newest text is shown whenever the rate budget has room to spare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentd.delivery.governor import RateBudget

__all__ = ["Drafts", "NotNow"]

EDIT_PAUSE_SECONDS = 0.05
"""Least time between two drafts, even if the platform sets no limit; the final text is never held back."""

END_PAUSE_SECONDS = 0.02
"""Wait before each draft but the first, since a model's last words and its end come together: a draft would only delay
the final text.
"""


class NotNow(Exception):
    """The rate budget has no room for a draft now."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long to wait for room."""
        super().__init__()
        self.seconds = seconds


class Drafts:
    """The newest text of one reply that is not shown yet, and when it may be shown."""

    def __init__(self, budget: RateBudget, chat: str, monotonic: Callable[[], float]) -> None:
        """Begin without a text."""
        self._budget = budget
        self._chat = chat
        self._monotonic = monotonic
        self._next = 0.0
        self._owing = asyncio.Event()
        self.owed: str | None = None
        """The newest text that is not shown yet; None: nothing to show."""

    def owe(self, text: str) -> None:
        """Set the text to show next."""
        self.owed = text
        self._owing.set()

    def forget(self) -> None:
        """Drop the text: the model has finished, or starts over."""
        self.owed = None

    async def due(self, *, is_first: bool) -> None:
        """Wait until there may be a text to show, and its time may have come."""
        await self._owing.wait()
        self._owing.clear()
        await asyncio.sleep(max(self._next - self._monotonic(), 0.0 if is_first else END_PAUSE_SECONDS))

    def wait_seconds(self) -> float:
        """Return how long the next draft has to wait. Asked before rendering, since mostly there is no room."""
        return max(self._next - self._monotonic(), self._budget.draft(self._chat, reply=self, looks_only=True))

    async def take(self) -> None:
        """Take a place in the rate budget for a draft. Raises NotNow if there is no room to spare."""
        seconds = self._budget.draft(self._chat, reply=self)
        if seconds > 0:
            raise NotNow(seconds)

    def end(self) -> None:
        """Release the edit that was reserved for the reply's end."""
        self._budget.ended(self)

    def postpone(self, text: str, seconds: float) -> None:
        """Show this text, or a newer one, no sooner than in so many seconds."""
        self._next = self._monotonic() + seconds
        self.owe(self.owed or text)

    def rest(self) -> None:
        """Keep a pause after a draft."""
        self._next = self._monotonic() + EDIT_PAUSE_SECONDS
