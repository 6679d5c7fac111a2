"""This module keeps marks of settled files between runs, as a database does; after a power cut perhaps older ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from random import Random

from tests.simulation.system import Process

__all__ = ["Kept", "KeptMarks"]

Marks = dict[str, tuple[int, int]]


class Kept:
    """The database's content; it outlives processes."""

    def __init__(self, dice: Random) -> None:
        """Begin with nothing."""
        self._dice = dice
        self.states: list[Marks] = [{}]
        """What may be on disk: the last is what a reader sees."""

    def lose_power(self) -> None:
        """Come back with the last state, or with one of those before."""
        self.states = [self._dice.choice(self.states)]


class KeptMarks:
    """`agentd.transcript.marks.Marks` for one process."""

    def __init__(self, kept: Kept, process: Process) -> None:
        """Read and write as long as the process lives."""
        self._kept = kept
        self._process = process

    async def settled(self) -> Mapping[str, tuple[int, int]]:
        """Return what is kept."""
        return self._kept.states[-1]

    async def keep(self, settled: Mapping[str, tuple[int, int]], gone: Collection[str]) -> None:
        """Add, and forget, in one step."""
        self._process.step("mark")
        marks = {name: stamp for name, stamp in self._kept.states[-1].items() if name not in gone}
        self._kept.states = [*self._kept.states[-2:], marks | dict(settled)]
        self._process.note("mark", *settled)
