"""The front: the channels, and what stands between them and the conversations on the way out."""

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
    """All channels by their names, each with its screen and its budget."""

    channels: Mapping[str, Channel]
    screens: Mapping[str, Screen]
    """Where conversations are shown, wherever their chats are by now."""
    budgets: Mapping[str, RateBudget]
    aliases: Aliases


def build_front(
    channels: Mapping[str, Channel],
    aliases: Aliases,
    monotonic: Callable[[], float],
    count: Callable[[str, str], None] = lambda channel, outcome: None,
) -> Front:
    """Put a budget, and a look-up of chats that moved, before each channel; `count` takes what was sent, by channel."""
    counting = {name: CountingScreen(channel, partial(count, name)) for name, channel in channels.items()}
    return Front(
        channels,
        {name: FollowingScreen(screen, aliases) for name, screen in counting.items()},
        {name: Governor(channel.rates, monotonic) for name, channel in channels.items()},
        aliases,
    )
