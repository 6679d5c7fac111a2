"""This module is a fake task queue that keeps tasks and runs none."""

from __future__ import annotations

from dataclasses import replace

from agentd.tasks.queue import Cleared, Entry, Order, Spare, spare_none

__all__ = ["FakeQueue"]


class FakeQueue:
    """The port, in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self.orders: list[Order] = []

    async def defer(self, order: Order) -> bool:
        """Keep a task."""
        self.orders.append(order)
        return True

    async def entries(self, *, dead: bool = False) -> list[Entry]:
        """Return those that wait; none is ever dead."""
        waiting = [] if dead else self.orders
        return [Entry(number, order.task, order.session, "todo", 0, None) for number, order in enumerate(waiting)]

    async def about(self, session: str, seq: int) -> list[Entry]:
        """Return none: nothing is known of words here."""
        del session, seq
        return []

    async def retry(self, number: int) -> None:
        """Do nothing: none is dead."""

    async def erase(self, session: str, spare: Spare = spare_none) -> Cleared:
        """Remove a session's tasks, but for what is to be spared."""
        kept = [order for order in self.orders if order.session != session]
        for order in self.orders:
            args = spare(order.task, order.args) if order.session == session else None
            if args is not None:
                kept.append(replace(order, args=args))
        removed, self.orders = len(self.orders) - len(kept), kept
        return Cleared(removed, 0)
