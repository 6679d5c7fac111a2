"""When a reply that grows is shown: the newest that is not shown yet, whenever the rate budget has room to spare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentd.delivery.governor import RateBudget

__all__ = ["Drafts", "NotNow"]

EDIT_PAUSE_SECONDS = 0.05
"""The least time between two drafts, also where the platform sets no limit; the final is never held back."""

END_PAUSE_SECONDS = 0.02
"""With a model's last words comes its end: a draft of them would only take the final's place in the rate budget."""


class NotNow(Exception):
    """There is no room for a draft."""

    def __init__(self, seconds: float) -> None:
        """Say how long there is none."""
        super().__init__()
        self.seconds = seconds


class Drafts:
    """What is owed to the person's screen, and when its time comes."""

    def __init__(self, budget: RateBudget, chat: str, monotonic: Callable[[], float]) -> None:
        """Begin with nothing owed."""
        self._budget = budget
        self._chat = chat
        self._monotonic = monotonic
        self._next = 0.0
        self._owing = asyncio.Event()
        self.owed: str | None = None
        """The newest text that is not shown yet."""

    def owe(self, text: str) -> None:
        """Take in a newer text."""
        self.owed = text
        self._owing.set()

    def forget(self) -> None:
        """Owe nothing: the model has come to its end, or begins anew."""
        self.owed = None

    async def due(self, *, is_first: bool) -> None:
        """Wait until something may be owed, and its time may have come."""
        await self._owing.wait()
        self._owing.clear()
        await asyncio.sleep(max(self._next - self._monotonic(), 0.0 if is_first else END_PAUSE_SECONDS))

    def wait_seconds(self) -> float:
        """Return how long the next draft has to wait; a text is not rendered before, since mostly there is no room."""
        return max(self._next - self._monotonic(), self._budget.draft(self._chat, reply=self, looks_only=True))

    async def take(self) -> None:
        """Take a place for a draft. Raises NotNow where there is no room to spare."""
        seconds = self._budget.draft(self._chat, reply=self)
        if seconds > 0:
            raise NotNow(seconds)

    def end(self) -> None:
        """Keep no room any more for the end of what was begun."""
        self._budget.ended(self)

    def postpone(self, text: str, seconds: float) -> None:
        """Owe this, or what the model has said since, and try again after so long."""
        self._next = self._monotonic() + seconds
        self.owe(self.owed or text)

    def rest(self) -> None:
        """Leave a pause behind a draft."""
        self._next = self._monotonic() + EDIT_PAUSE_SECONDS
