"""Bundles the channels with what stands in front of each on the way out: counting, moved chats, and the rate budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from agentd.delivery.counting import CountingScreen
from agentd.delivery.following import Aliases, FollowingScreen
from agentd.delivery.governor import Governor, RateBudget
from channels.base import Channel, Screen

__all__ = ["Front", "build_front"]


@dataclass(frozen=True, slots=True)
class Front:
    """All channels by name, each with its screen and its rate budget."""

    channels: Mapping[str, Channel]
    screens: Mapping[str, Screen]
    """Where to show replies; they follow chats that moved."""
    budgets: Mapping[str, RateBudget]
    aliases: Aliases


def build_front(
    channels: Mapping[str, Channel],
    aliases: Aliases,
    monotonic: Callable[[], float],
    count: Callable[[str, str], None] = lambda channel, outcome: None,
) -> Front:
    """Put the counter, the look-up of moved chats and the rate budget before each channel.

    `count` is called with the channel and the outcome of each message sent.
    """
    counting = {name: CountingScreen(channel, partial(count, name)) for name, channel in channels.items()}
    return Front(
        channels,
        {name: FollowingScreen(screen, aliases) for name, screen in counting.items()},
        {name: Governor(channel.rates, monotonic) for name, channel in channels.items()},
        aliases,
    )
