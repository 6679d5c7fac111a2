"""Compares entries with a question in meaning, whatever the database; no vector of an entry is made here."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memory.ports import Embedder

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness, Row

__all__ = ["KEPT_SCOPES", "MOST_VECTORS", "Meaning", "State", "compare_all"]

QUESTION_SECONDS = 0.5
"""How long the vector of a question is waited for; without it the words decide alone."""

KEPT_SCOPES = 4
"""The vectors of so many askers stay in memory: 30 MB for 20,000 entries."""

MOST_VECTORS = 20_000
"""So many of an asker's newest entries are compared; older ones are found by their words."""

State = tuple[int, int | None]
"""How many vectors there are, and of which entry is the newest: it changes when one is added or removed."""


class Meaning:
    """The vectors of those who asked last."""

    def __init__(self, embedder: Embedder) -> None:
        """Compare with vectors of this model."""
        self._embedder = embedder
        self._kept: OrderedDict[tuple[int, ...], tuple[State, Nearness]] = OrderedDict()

    @property
    def model(self) -> str:
        """The model of the vectors."""
        return self._embedder.name

    async def vector_of(self, question: str) -> bytes | None:
        """Return the question's vector; None where that takes too long."""
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                [vector] = await self._embedder.embed([question])
        except TimeoutError:
            return None
        return vector

    def kept(self, scopes: tuple[int, ...], state: State) -> Nearness | None:
        """Return the vectors of these scopes; None where they are to be read anew."""
        known = self._kept.get(scopes)
        if known is None or known[0] != state:
            return None
        self._kept.move_to_end(scopes)
        return known[1]

    def keep(self, scopes: tuple[int, ...], state: State, nearness: Nearness) -> None:
        """Keep what was read of these scopes, and let go of those who asked longest ago."""
        self._kept[scopes] = state, nearness
        self._kept.move_to_end(scopes)
        while len(self._kept) > KEPT_SCOPES:
            self._kept.popitem(last=False)


def compare_all(newest_first: Sequence[Row]) -> Nearness:
    """Return rows so that a question can be compared with them; loads numpy, which is an extra."""
    from memory.embeddings.nearness import Nearness

    return Nearness(newest_first[::-1])
