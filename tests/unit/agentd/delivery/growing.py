"""This module streams a reply one step at a time."""

from __future__ import annotations

from agentd.delivery.reply import Reply

__all__ = ["grow"]


async def grow(reply: Reply, text: str) -> None:
    """Take in what the model has said so far, and show it at once if there is room: one round of `catch_up`."""
    reply.grow(text)
    await reply.show_growth()
