"""This module defines what every channel is given besides its settings: ids, a clock and the list of commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Argument", "Tools"]


@dataclass(frozen=True, slots=True)
class Argument:
    """The argument of a command, described for people."""

    does: str
    is_needed: bool = False
    """Whether the command needs it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """A source of ids, a clock, and the commands that the daemon understands."""

    new_id: Callable[[], str]
    """Gives ids that never repeat."""
    monotonic: Callable[[], float]
    commands: Mapping[str, str]
    """What each command does, by its name without the slash: for platforms that list commands."""
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    """The arguments by the name of their command: for platforms that can ask for them."""
