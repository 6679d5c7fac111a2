"""Which channels there are: the only place that sees them all."""

from __future__ import annotations

from collections.abc import Callable

from channels.base import Channel
from channels.console import open_console
from channels.errors import ChannelUnavailable

__all__ = ["build_channels"]

_BUILDERS: dict[str, Callable[[Callable[[], str]], Channel]] = {"console": open_console}


def build_channels(names: tuple[str, ...], new_id: Callable[[], str]) -> dict[str, Channel]:
    """Return the channels of these names, not yet connected. Raises ChannelUnavailable for one that is not built."""
    missing = [name for name in names if name not in _BUILDERS]
    if missing:
        raise ChannelUnavailable(
            f"channels_config.{missing[0]}: this version does not speak {missing[0]} yet: remove its token"
        )
    return {name: _BUILDERS[name](new_id) for name in names}
