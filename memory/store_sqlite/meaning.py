"""Looks among vectors for what is like a question in meaning; no vector of an entry is made here."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from memory.ports import Embedder
from memory.recall import CANDIDATES, Likeness

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness

__all__ = ["Meaning"]

QUESTION_SECONDS = 0.5
"""How long the vector of a question is waited for; without it the words decide alone."""

KEPT_SCOPES = 4
"""The vectors of so many askers stay in memory: 30 MB for 20,000 entries."""

MOST_VECTORS = 20_000
"""So many of an asker's newest entries are compared; older ones are found by their words."""


class Meaning:
    """The vectors of those who asked last."""

    def __init__(self, embedder: Embedder) -> None:
        """Compare with vectors of this model."""
        self._embedder = embedder
        self._kept: OrderedDict[tuple[int, ...], tuple[tuple[int, int], Nearness]] = OrderedDict()

    async def vector_of(self, question: str) -> bytes | None:
        """Return the question's vector; None where that takes too long."""
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                [vector] = await self._embedder.embed([question])
        except TimeoutError:
            return None
        return vector

    def likeness(
        self, connection: sqlite3.Connection, scopes: Sequence[int], asked: bytes, found: Iterable[int]
    ) -> Likeness:
        """Return the cosine of what is most like the question, and of what its words found."""
        nearness = self._nearness(connection, tuple(scopes))
        return nearness.likeness(asked, CANDIDATES, found)

    def _nearness(self, connection: sqlite3.Connection, scopes: tuple[int, ...]) -> Nearness:
        """Return the vectors of these scopes, read anew if one was added or removed."""
        from memory.embeddings.nearness import Nearness

        given = (json.dumps(scopes), self._embedder.name)
        state = connection.execute(f"SELECT count(*), max(vector.entry) {_OF_SCOPES}", given).fetchone()
        kept = self._kept.get(scopes)
        if kept is None or kept[0] != state:
            rows = connection.execute(f"{_VECTORS} {_OF_SCOPES} ORDER BY entry.id DESC LIMIT {MOST_VECTORS}", given)
            kept = (state, Nearness(rows.fetchall()[::-1]))
            self._kept[scopes] = kept
        self._kept.move_to_end(scopes)
        while len(self._kept) > KEPT_SCOPES:
            self._kept.popitem(last=False)
        return kept[1]


_VECTORS = "SELECT entry.id, entry.session, entry.kind, entry.happened, vector.floats"
_OF_SCOPES = """
    FROM entry JOIN vector ON vector.entry = entry.id
    WHERE entry.scope IN (SELECT value FROM json_each(?)) AND vector.model = ? AND entry.superseded_at IS NULL
"""
