"""This module waits after a fault of Telegram, with a growing pause, and reports the fault in the channel's health."""

from __future__ import annotations

import asyncio

import structlog

from channels.errors import ChannelError, RateLimited
from channels.health import Health
from channels.telegram.faults import SlotTaken, Stalled, TokenRefused
from channels.telegram.waits import Growing, Waits

__all__ = ["Backoff"]

log = structlog.get_logger()


class Backoff:
    """Waits longer with each fault, until there is an answer again."""

    def __init__(self, health: Health, waits: Waits) -> None:
        """Report faults in `health`."""
        self._health = health
        self._waits = waits
        self._tries = 0

    def answered(self) -> None:
        """Note an answer: nothing is wrong, and the next pause is the shortest again."""
        self._health.touch()
        self._tries = 0

    async def sit_out(self, fault: ChannelError) -> None:
        """Report a fault, and wait: as long as a rate limit says, else a growing pause."""
        sentence, growing = self._judge(fault)
        seconds = fault.retry_after_seconds if isinstance(fault, RateLimited) else growing.after(self._tries)
        self._tries += 1
        self._health.fault = sentence
        if not isinstance(fault, Stalled):
            self._health.tried(seconds)
        report = log.error if isinstance(fault, TokenRefused) else log.warning
        report("telegram_unavailable", fault=sentence, seconds=seconds)
        await asyncio.sleep(seconds)

    def _judge(self, fault: ChannelError) -> tuple[str, Growing]:
        match fault:
            case TokenRefused():
                return f"Telegram refuses the bot's token, which it took before: {fault}", self._waits.token
            case SlotTaken() if fault.is_webhook:
                return f"a webhook takes this bot's updates (409): {fault}", self._waits.conflict
            case SlotTaken():
                return f"another program polls with this bot's token (409): {fault}", self._waits.conflict
            case RateLimited():
                return f"Telegram wants to be left alone for a time: {fault}", self._waits.network
            case Stalled():
                self._health.counts["stalled"] += 1
                return f"Telegram is silent: {fault}", self._waits.network
            case _:
                return f"Telegram cannot be reached: {fault}", self._waits.network
