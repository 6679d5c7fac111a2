"""An exchange as a task carries it: the words that a consolidation needs, and no more of them."""

from __future__ import annotations

import msgspec

from agentd.tasks.queue import Order
from memory.model import Exchange

__all__ = ["CONSOLIDATE", "order_for", "parse_exchange"]

CONSOLIDATE = "consolidate"


def order_for(exchange: Exchange) -> Order:
    """Return the task that learns from an exchange; twice the same is one, as long as that can be seen."""
    args: dict[str, object] = msgspec.to_builtins(exchange)
    once = f"{exchange.session} {exchange.person} {exchange.first}-{exchange.last}"
    return Order(CONSOLIDATE, args, session=exchange.session, once=once)  # type: ignore[arg-type]  # JSON by its make


def parse_exchange(args: object) -> Exchange:
    """Read what `order_for` wrote. Raises msgspec.ValidationError."""
    return msgspec.convert(args, Exchange)
