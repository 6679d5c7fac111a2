"""Converts an exchange to a task's order and back: what a consolidation needs to know, and no more."""

from __future__ import annotations

import msgspec

from agentd.tasks.queue import Order
from memory.model import Exchange

__all__ = ["CONSOLIDATE", "order_for", "parse_exchange"]

CONSOLIDATE = "consolidate"


def order_for(exchange: Exchange) -> Order:
    """Return the task that learns from an exchange; ordering the same again while it is known changes nothing."""
    args: dict[str, object] = msgspec.to_builtins(exchange)
    once = f"{exchange.session} {exchange.person} {exchange.first}-{exchange.last}"
    return Order(CONSOLIDATE, args, session=exchange.session, once=once)  # type: ignore[arg-type]  # JSON by its make


def parse_exchange(args: object) -> Exchange:
    """Parse what `order_for` wrote. Raises msgspec.ValidationError."""
    return msgspec.convert(args, Exchange)
