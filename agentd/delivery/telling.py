"""Says one thing to a person outside of any conversation: no record, no retry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from channels.base import Address, Channel
from channels.errors import SendFailed, Unreachable

__all__ = ["Teller"]

PATIENCE_SECONDS = 10
"""A channel that receives, or an operator at a command, waits for it meanwhile."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Teller:
    """Sends through the channels that run."""

    channels: Mapping[str, Channel]
    new_id: Callable[[], str]

    async def tell(self, to: Address, text: str) -> bool:
        """Send a text, and tell whether it arrived; what was in the way is logged."""
        channel = self.channels.get(to.channel)
        if channel is None:
            log.warning("notice_not_sent", channel=to.channel, fault="this channel does not run")
            return False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await channel.send(to, text, self.new_id())
        except (SendFailed, Unreachable, TimeoutError) as fault:
            log.warning("notice_not_sent", channel=to.channel, fault=str(fault) or type(fault).__name__)
            return False
        return True
