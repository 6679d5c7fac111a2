"""How long a channel waits before it tries something again."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Growing"]


@dataclass(frozen=True, slots=True)
class Growing:
    """A pause that doubles with each try, up to a last one."""

    first_seconds: float
    last_seconds: float

    def after(self, tries: int) -> float:
        """Return the pause after so many tries before this one."""
        return min(self.first_seconds * 2.0 ** min(tries, 32), self.last_seconds)
