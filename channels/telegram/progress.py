"""This module tracks which updates are done, and so which offset the next poll may confirm. It does no I/O.

Telegram confirms an update when a poll asks for a higher offset. The offset is the first update, in the order in which
Telegram gave them, that is not done. After a week without any updates, ids may start again at a lower number, and the
offset follows them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Progress"]


class Progress:
    """The state of the updates in the last answer: new, begun or done."""

    def __init__(self) -> None:
        """Begin with offset 0: the first poll asks for all that is not confirmed."""
        self._order: list[int] = []
        self._done: set[int] = set()
        self._begun: set[int] = set()
        self._offset = 0
        self.emptied = asyncio.Event()
        """Set while nothing is in progress."""
        self.emptied.set()

    @property
    def offset(self) -> int:
        """The id to poll from; 0: the first that is not confirmed."""
        return self._offset

    @property
    def is_busy(self) -> bool:
        """Whether any update is in progress."""
        return bool(self._begun)

    def news(self, answer: Sequence[Any]) -> list[Mapping[str, Any]]:
        """Take an answer, and return its updates that are neither begun nor done, in order.

        Those without an id are left out, since they cannot be confirmed.
        """
        updates = {
            update["update_id"]: update
            for update in answer
            if isinstance(update, dict) and isinstance(update.get("update_id"), int)
        }
        if not updates:
            return []
        self._order = list(updates)
        self._done.intersection_update(updates)
        self._move()
        return [update for number, update in updates.items() if number not in self._done | self._begun]

    def begin(self, update_id: int) -> None:
        """Note that an update is in progress."""
        self._begun.add(update_id)
        self.emptied.clear()

    def finish(self, update_id: int) -> None:
        """Note that an update is done: what was in it is on disk, or there was nothing to take in."""
        self._begun.discard(update_id)
        self._done.add(update_id)
        self._move()
        if not self._begun:
            self.emptied.set()

    def _move(self) -> None:
        waiting = (number for number in self._order if number not in self._done)
        self._offset = next(waiting, self._order[-1] + 1 if self._order else self._offset)
