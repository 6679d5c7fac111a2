"""Lets every channel be heard, and knows how each is doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentd.errors import ConfigError
from agentd.service.reporting import Line
from channels.base import Accept, Channel, Places
from channels.errors import ChannelUnavailable

__all__ = ["Supervisor"]


class Supervisor:
    """Watches over the channels of one daemon."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        """Know them; none is heard yet."""
        self._channels = channels

    async def keep(self, channel: Channel, accept: Accept, places: Places) -> None:
        """Receive until the platform has no more to say. Raises ConfigError where it cannot be had."""
        try:
            await channel.run(accept, places)
        except ChannelUnavailable as fault:
            raise ConfigError(str(fault)) from fault

    def lines(self) -> Sequence[Line]:
        """Return how each is doing."""
        return [Line(name, channel.health.fault, _is_missing(channel)) for name, channel in self._channels.items()]


def _is_missing(channel: Channel) -> bool:
    """Tell whether the platform has not answered yet, or not for longer than it may."""
    health = channel.health
    if health.patience_seconds is None:
        return False
    silent_seconds = health.silent_seconds
    return silent_seconds is None or silent_seconds > health.patience_seconds
