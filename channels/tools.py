"""What every channel is given besides its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Tools"]


@dataclass(frozen=True, slots=True)
class Tools:
    """Ids, time, and what the daemon understands."""

    new_id: Callable[[], str]
    """Gives ids that never repeat."""
    monotonic: Callable[[], float]
    commands: Mapping[str, str]
    """The commands by name, without their slash, and what each does: for platforms that list them."""
