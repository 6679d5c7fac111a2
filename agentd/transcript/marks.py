"""The port to the list of settled session files, kept between runs so that recovery need not open them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

__all__ = ["NO_MARKS", "Marks"]


class Marks(Protocol):
    """Keeps, for each session file by name, its stamp (`disk.Stamp`) when nothing in it was left to do."""

    async def settled(self) -> Mapping[str, tuple[int, int]]:
        """Return what is kept; nothing if it cannot be read."""
        ...

    async def keep(self, settled: Mapping[str, tuple[int, int]], gone: Collection[str]) -> None:
        """Add what a finished recovery found settled, and remove what is gone, in one step.

        If that fails, nothing is raised; the next recovery only takes longer.
        """
        ...


class _NoMarks:
    """Keeps nothing: every recovery looks at all files."""

    async def settled(self) -> Mapping[str, tuple[int, int]]:
        """Return nothing."""
        return {}

    async def keep(self, settled: Mapping[str, tuple[int, int]], gone: Collection[str]) -> None:
        """Keep nothing."""


NO_MARKS: Marks = _NoMarks()
