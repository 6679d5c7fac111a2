"""What is kept between runs so that settled sessions need not be searched: where that is kept is another's business."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

__all__ = ["NO_MARKS", "Marks"]


class Marks(Protocol):
    """For each session file, by its name, its stamp (`disk.Stamp`) when nothing in it was left to do."""

    async def settled(self) -> Mapping[str, tuple[int, int]]:
        """Return what is kept; nothing where that cannot be read."""
        ...

    async def keep(self, settled: Mapping[str, tuple[int, int]], gone: Collection[str]) -> None:
        """Add what a recovery that is done found settled, and forget what is gone, in one step.

        Where that fails, the next search is longer, and nothing is raised.
        """
        ...


class _NoMarks:
    """Keeps nothing: every search is a whole one."""

    async def settled(self) -> Mapping[str, tuple[int, int]]:
        """Return nothing."""
        return {}

    async def keep(self, settled: Mapping[str, tuple[int, int]], gone: Collection[str]) -> None:
        """Forget at once."""


NO_MARKS: Marks = _NoMarks()
