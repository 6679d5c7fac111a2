"""Compares entries with a question in meaning, whatever the database; no vector of an entry is made here."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from memory.errors import EmbedderFailed, TextRefused
from memory.ports import Embedder

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness, Row

__all__ = ["KEPT_SCOPES", "MOST_RENEWED", "MOST_VECTORS", "RECALL_SECONDS", "SEARCH_SECONDS", "Meaning", "compare_all"]

RECALL_SECONDS = 0.03
"""How long a reply waits for the vector of a question; without it the words decide alone. MiniLM takes 4 to 20 ms."""

SEARCH_SECONDS = 2.0
"""The same, where somebody looks something up and no reply waits."""

KEPT_SCOPES = 4
"""The vectors of so many askers stay in memory: 30 MB for 20,000 entries."""

MOST_VECTORS = 20_000
"""So many of an asker's newest entries are compared; older ones are found by their words."""

MOST_RENEWED = 1_000
"""So many are read anew while a reply waits, in 15 ms; 20,000 take 450."""


class Meaning:
    """The vectors of those who asked last, each with the state of the database in which they were read."""

    def __init__(self, embedder: Embedder) -> None:
        """Compare with vectors of this model."""
        self._embedder = embedder
        self.additions = 0
        """How often vectors were added here."""
        self._kept: OrderedDict[tuple[int, ...], tuple[Hashable, Nearness]] = OrderedDict()

    @property
    def model(self) -> str:
        """The model of the vectors."""
        return self._embedder.name

    async def vector_of(self, question: str, wait_seconds: float) -> bytes | None:
        """Return the question's vector; None where there is none, or not in that time."""
        if not question.strip():
            return None
        try:
            async with asyncio.timeout(wait_seconds):
                [vector] = await self._embedder.embed([question])
        except (TimeoutError, EmbedderFailed, TextRefused):
            return None
        return vector

    def kept(self, scopes: tuple[int, ...], state: Hashable, size: int) -> Nearness | None:
        """Return the vectors of these scopes; None where they are to be read anew.

        Where some were added they are, unless they are so many that a reply would wait for it: then those that were
        read before will do until `renewed`. What is gone since is found, and left out by whoever asked. `size` is that
        of the question's vector in bytes: others cannot be compared with it.
        """
        known = self._kept.get(scopes)
        if known is None or known[1].size != size or (known[0] != state and known[1].count <= MOST_RENEWED):
            return None
        self._kept.move_to_end(scopes)
        return known[1]

    def keep(self, scopes: tuple[int, ...], state: Hashable, nearness: Nearness) -> None:
        """Keep what was read of these scopes, and let go of those who asked longest ago."""
        self._kept[scopes] = state, nearness
        self._kept.move_to_end(scopes)
        while len(self._kept) > KEPT_SCOPES:
            self._kept.popitem(last=False)

    @property
    def all_kept(self) -> list[tuple[tuple[int, ...], Hashable, int]]:
        """Return whose vectors are kept, in which state, and of which size."""
        return [(scopes, state, nearness.size) for scopes, (state, nearness) in self._kept.items()]

    def forget(self) -> None:
        """Keep no vector in memory."""
        self._kept.clear()


def compare_all(newest_first: Sequence[Row], size: int) -> Nearness:
    """Return rows so that a question's vector of that size can be compared with them; loads numpy, an extra."""
    from memory.embeddings.nearness import Nearness

    return Nearness(newest_first[::-1], size)
