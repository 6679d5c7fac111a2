"""This module waits after a fault of Slack, with a growing pause, and reports the fault in the channel's health."""

from __future__ import annotations

import asyncio

import structlog

from channels.errors import ChannelError, RateLimited
from channels.health import Health
from channels.slack.faults import Misconfigured, Silent, sentence_for
from channels.slack.standing import Standing
from channels.slack.waits import Growing, Waits

__all__ = ["Backoff"]

log = structlog.get_logger()


class Backoff:
    """Waits longer with each fault, until there was a good connection again."""

    def __init__(self, health: Health, standing: Standing, waits: Waits) -> None:
        """Report faults in `health`; `standing` holds those that a connection alone does not mend."""
        self._health = health
        self._standing = standing
        self._waits = waits
        self.monotonic = health.monotonic
        self._tries = 0

    def greeted(self) -> None:
        """Note that there is a connection."""
        self._standing.greet()

    def begin_anew(self) -> None:
        """Reset the pause to the shortest, after a connection that held."""
        self._tries = 0

    async def sit_out(self, fault: ChannelError) -> None:
        """Report a fault, and wait: as long as a rate limit says, or a growing pause if that is longer."""
        sentence, growing = self._judge(fault)
        seconds = growing.after(self._tries)
        if isinstance(fault, RateLimited):
            seconds = max(fault.retry_after_seconds, seconds)
        self._tries += 1
        self._health.fault = sentence
        if not isinstance(fault, Silent):
            self._health.tried(seconds)
        report = log.error if isinstance(fault, Misconfigured) else log.warning
        report("slack_unavailable", fault=sentence, seconds=seconds)
        await asyncio.sleep(seconds)

    def _judge(self, fault: ChannelError) -> tuple[str, Growing]:
        match fault:
            case Misconfigured():
                return sentence_for(fault), self._waits.token
            case RateLimited():
                return f"Slack wants to be left alone for a time: {fault}", self._waits.network
            case _:
                return f"Slack cannot be reached: {fault}", self._waits.network
