"""What a monitor is told when it asks whether the daemon lives, or is ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Probe", "Probed"]


@dataclass(frozen=True, slots=True)
class Probed:
    """One answer: a word, and in sentences why it is no good one."""

    is_good: bool
    status: str
    reasons: Sequence[str] = ()


Probe = Callable[[], Probed]
"""Asked from another thread, also while the event loop is stuck."""
