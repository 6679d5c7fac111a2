"""This module adds embeddings to recall: it embeds the question, and caches the entries' vectors to compare with.

It works for every database, and makes no vector of an entry.
"""

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
"""How long a reply waits for the vector of a question; without it only words count. MiniLM takes 4 to 20 ms."""

SEARCH_SECONDS = 2.0
"""The same for a search, for which no reply waits."""

KEPT_SCOPES = 4
"""For how many askers the vectors are cached: 30 MB for 20,000 entries."""

MOST_VECTORS = 20_000
"""How many of an asker's newest entries are compared; older ones are found by their words."""

MOST_RENEWED = 1_000
"""Up to how many vectors are read again while a reply waits, in 15 ms; 20,000 take 450 ms."""


class Meaning:
    """The embedder, and a cache of the vectors of those who asked last, each with the database's state at that time."""

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
        """Return the question's vector; None for an empty question, or if it cannot be made within `wait_seconds`."""
        if not question.strip():
            return None
        try:
            async with asyncio.timeout(wait_seconds):
                [vector] = await self._embedder.embed([question])
        except (TimeoutError, EmbedderFailed, TextRefused):
            return None
        return vector

    def kept(self, scopes: tuple[int, ...], state: Hashable, size: int) -> Nearness | None:
        """Return the cached vectors of these scopes; None if they have to be read.

        After a change of `state` they are read again, unless they are so many (`MOST_RENEWED`) that a reply would wait
        for it: then the cached ones serve until the store renews them. Entries deleted since are found too, and the
        caller leaves them out. `size` is that of the question's vector in bytes: others cannot be compared with it.
        """
        known = self._kept.get(scopes)
        if known is None or known[1].size != size or (known[0] != state and known[1].count <= MOST_RENEWED):
            return None
        self._kept.move_to_end(scopes)
        return known[1]

    def keep(self, scopes: tuple[int, ...], state: Hashable, nearness: Nearness) -> None:
        """Cache what was read of these scopes, and drop those who asked longest ago."""
        self._kept[scopes] = state, nearness
        self._kept.move_to_end(scopes)
        while len(self._kept) > KEPT_SCOPES:
            self._kept.popitem(last=False)

    @property
    def all_kept(self) -> list[tuple[tuple[int, ...], Hashable, int]]:
        """The scopes whose vectors are cached, with the state and the size of each."""
        return [(scopes, state, nearness.size) for scopes, (state, nearness) in self._kept.items()]

    def forget(self) -> None:
        """Empty the cache."""
        self._kept.clear()


def compare_all(newest_first: Sequence[Row], size: int) -> Nearness:
    """Return rows ready to be compared with a question's vector of `size` bytes; this imports numpy, an extra."""
    from memory.embeddings.nearness import Nearness

    return Nearness(newest_first[::-1], size)
