"""Sends one notice to a person outside of any conversation (pairing, linking, a full disk): no record, no retry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agentd.delivery.front import Front
from channels.base import Address
from channels.errors import RateLimited, SendFailed, Unreachable
from channels.markup.rich import plain

__all__ = ["Teller"]

PATIENCE_SECONDS = 10
"""Meanwhile a channel's receiving, or an operator's command, waits."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Teller:
    """Sends notices through the running channels, within their rate budgets."""

    front: Front
    new_id: Callable[[], str]

    async def tell(self, to: Address, text: str) -> bool:
        """Send a text, and return whether it arrived; a fault is logged."""
        screen = self.front.screens.get(to.channel)
        if screen is None:
            log.warning("notice_not_sent", channel=to.channel, fault="this channel does not run")
            return False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.front.budgets[to.channel].turn(to.chat)
                await screen.send(to, plain(text), self.new_id())
        except RateLimited as fault:
            self.front.budgets[to.channel].rest(to.chat, fault.retry_after_seconds)
            log.warning("notice_not_sent", channel=to.channel, fault=str(fault))
            return False
        except (SendFailed, Unreachable, TimeoutError) as fault:
            log.warning("notice_not_sent", channel=to.channel, fault=str(fault) or type(fault).__name__)
            return False
        return True
