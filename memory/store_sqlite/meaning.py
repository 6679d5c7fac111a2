"""Looks among vectors for what is like a question in meaning; no vector of an entry is made here."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.errors import EmbedderFailed, TextRefused
from memory.ports import Embedder
from memory.recall import CANDIDATES, Likeness

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness

__all__ = ["RECALL_SECONDS", "SEARCH_SECONDS", "Meaning"]

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


@dataclass(frozen=True, slots=True)
class _State:
    """Tells whether what was read may be out of date."""

    size: int
    """Of a vector, in bytes."""
    additions: int
    """How often vectors were added here."""
    others: int
    """Changes when somebody else has written to the database."""


class Meaning:
    """The vectors of those who asked last."""

    def __init__(self, embedder: Embedder) -> None:
        """Compare with vectors of this model."""
        self._embedder = embedder
        self._additions = 0
        self._kept: OrderedDict[tuple[int, ...], tuple[_State, Nearness]] = OrderedDict()

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

    # What follows runs on the database's thread, but for `changed`.

    def likeness(
        self, connection: sqlite3.Connection, scopes: Sequence[int], asked: bytes, found: Iterable[int]
    ) -> Likeness:
        """Return the cosine of what is most like the question, and of what its words found."""
        nearness = self._nearness(connection, tuple(scopes), len(asked))
        return nearness.likeness(asked, CANDIDATES, found)

    def changed(self) -> None:
        """Hear that vectors were added."""
        self._additions += 1

    def renew(self, connection: sqlite3.Connection) -> None:
        """Read the vectors of those who asked last anew where some were added."""
        for scopes, (before, _) in tuple(self._kept.items()):
            if before != (state := self._state(connection, before.size)):
                self._read(connection, scopes, state)

    def forget(self, _connection: sqlite3.Connection) -> None:
        """Keep no vector in memory."""
        self._kept.clear()

    def _nearness(self, connection: sqlite3.Connection, scopes: tuple[int, ...], size: int) -> Nearness:
        """Return the vectors of these scopes that have the size of the question's.

        They are read anew where some were added, unless they are so many that a reply would wait for it: then those
        that were read before will do until `renew`. What is gone since is found, and left out by whoever asked.
        """
        state, kept = self._state(connection, size), self._kept.get(scopes)
        if kept is None or (kept[0] != state and (kept[0].size != size or kept[1].count <= MOST_RENEWED)):
            kept = self._read(connection, scopes, state)
        self._kept.move_to_end(scopes)
        while len(self._kept) > KEPT_SCOPES:
            self._kept.popitem(last=False)
        return kept[1]

    def _state(self, connection: sqlite3.Connection, size: int) -> _State:
        [others] = connection.execute("PRAGMA data_version").fetchone()
        return _State(size, self._additions, others)

    def _read(self, connection: sqlite3.Connection, scopes: tuple[int, ...], state: _State) -> tuple[_State, Nearness]:
        from memory.embeddings.nearness import Nearness

        given = (json.dumps(scopes), self._embedder.name, state.size, MOST_VECTORS)
        self._kept[scopes] = (state, Nearness(connection.execute(_VECTORS, given).fetchall()[::-1]))
        return self._kept[scopes]


_VECTORS = """
    SELECT entry.id, entry.session, entry.kind, entry.happened, vector.floats
    FROM entry JOIN vector ON vector.entry = entry.id
    WHERE entry.scope IN (SELECT value FROM json_each(?)) AND vector.model = ? AND length(vector.floats) = ?
        AND entry.superseded_at IS NULL
    ORDER BY entry.id DESC LIMIT ?
"""
