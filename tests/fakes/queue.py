"""A queue of background tasks that keeps what it is given, and does none of it."""

from __future__ import annotations

from agentd.tasks.queue import Entry, Order

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

    async def erase(self, session: str) -> int:
        """Remove a session's tasks."""
        self.orders = [order for order in self.orders if order.session != session]
        return 0
