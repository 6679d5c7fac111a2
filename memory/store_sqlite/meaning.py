"""This module reads the embeddings of a person's entries from SQLite, and compares them with a question's.

It runs on the database's thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from memory.meaning import MOST_VECTORS, Meaning, compare_all
from memory.recall import CANDIDATES, Likeness

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness

__all__ = ["likeness", "renew"]


def likeness(
    connection: sqlite3.Connection, meaning: Meaning, scopes: Sequence[int], asked: bytes, found: Iterable[int]
) -> Likeness:
    """Return the cosines of the entries nearest to the question, and of those that its words found."""
    whose, state = tuple(scopes), _state(connection, meaning)
    nearness = meaning.kept(whose, state, len(asked)) or _read(connection, meaning, whose, len(asked))
    return nearness.likeness(asked, CANDIDATES, found)


def renew(connection: sqlite3.Connection, meaning: Meaning) -> None:
    """Read the cached vectors again if the database has changed since."""
    state = _state(connection, meaning)
    for scopes, before, size in meaning.all_kept:
        if before != state:
            _read(connection, meaning, scopes, size)


def _state(connection: sqlite3.Connection, meaning: Meaning) -> Hashable:
    """Return a value that changes when vectors are added here, or another process writes to the database."""
    [others] = connection.execute("PRAGMA data_version").fetchone()
    return meaning.additions, others


def _read(connection: sqlite3.Connection, meaning: Meaning, scopes: tuple[int, ...], size: int) -> Nearness:
    state = _state(connection, meaning)
    given = (json.dumps(scopes), meaning.model, size, MOST_VECTORS)
    nearness = compare_all(connection.execute(_VECTORS, given).fetchall(), size)
    meaning.keep(scopes, state, nearness)
    return nearness


_VECTORS = """
    SELECT entry.id, entry.session, entry.kind, entry.happened, vector.floats
    FROM entry JOIN vector ON vector.entry = entry.id
    WHERE entry.scope IN (SELECT value FROM json_each(?)) AND vector.model = ? AND length(vector.floats) = ?
        AND entry.superseded_at IS NULL
    ORDER BY entry.id DESC LIMIT ?
"""
