"""Looks among the vectors of the person's entries for what is like a question in meaning."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from memory.meaning import MOST_VECTORS, Meaning, compare_all
from memory.recall import CANDIDATES, Likeness

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness

__all__ = ["likeness"]


def likeness(
    connection: sqlite3.Connection, meaning: Meaning, scopes: Sequence[int], asked: bytes, found: Iterable[int]
) -> Likeness:
    """Return the cosine of what is most like the question, and of what its words found."""
    return _nearness(connection, meaning, tuple(scopes)).likeness(asked, CANDIDATES, found)


def _nearness(connection: sqlite3.Connection, meaning: Meaning, scopes: tuple[int, ...]) -> Nearness:
    """Return the vectors of these scopes, read anew if one was added or removed."""
    given = (json.dumps(scopes), meaning.model)
    state = connection.execute(f"SELECT count(*), max(vector.entry) {_OF_SCOPES}", given).fetchone()
    kept = meaning.kept(scopes, state)
    if kept is not None:
        return kept
    rows = connection.execute(f"{_VECTORS} {_OF_SCOPES} ORDER BY entry.id DESC LIMIT {MOST_VECTORS}", given)
    nearness = compare_all(rows.fetchall())
    meaning.keep(scopes, state, nearness)
    return nearness


_VECTORS = "SELECT entry.id, entry.session, entry.kind, entry.happened, vector.floats"
_OF_SCOPES = """
    FROM entry JOIN vector ON vector.entry = entry.id
    WHERE entry.scope IN (SELECT value FROM json_each(?)) AND vector.model = ? AND entry.superseded_at IS NULL
"""
