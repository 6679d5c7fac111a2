"""The answers to a monitor's `/healthz` and `/readyz`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Probe", "Probed"]


@dataclass(frozen=True, slots=True)
class Probed:
    """One answer: a word, and sentences with the reasons if it is not good."""

    is_good: bool
    status: str
    reasons: Sequence[str] = ()


Probe = Callable[[], Probed]
"""Called from another thread, even while the event loop is stuck."""
