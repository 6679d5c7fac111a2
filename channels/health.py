"""How a channel is doing: it keeps this up to date itself, and status and metrics read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Health"]


@dataclass(slots=True)
class Health:
    """One channel's state; times are those of `monotonic`."""

    monotonic: Callable[[], float]
    contact: float | None = None
    """When the platform last answered; None: not yet."""
    fault: str = ""
    """What is wrong now, as one sentence for the operator; empty: nothing."""
    counts: Counter[str] = field(default_factory=Counter)
    """How often something was passed over, by what it was."""

    def touch(self) -> None:
        """Note that the platform has answered as it should: nothing is wrong any more."""
        self.contact = self.monotonic()
        self.fault = ""

    @property
    def silent_seconds(self) -> float | None:
        """Return the time since the platform last answered; None: it has not yet."""
        return None if self.contact is None else self.monotonic() - self.contact
