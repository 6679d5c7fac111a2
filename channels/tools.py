"""What every channel is given besides its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Argument", "Tools"]


@dataclass(frozen=True, slots=True)
class Argument:
    """What may stand behind a command, in words for people."""

    does: str
    is_needed: bool = False
    """Whether the command means nothing without it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Ids, time, and what the daemon understands."""

    new_id: Callable[[], str]
    """Gives ids that never repeat."""
    monotonic: Callable[[], float]
    commands: Mapping[str, str]
    """The commands by name, without their slash, and what each does: for platforms that list them."""
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    """What may stand behind them, by the name of the command: for platforms on which it can be asked for."""
