"""Looks up what answers a question: the first stage, on the person's part of the index alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.recall import AROUND_WEIGHT, ASKED_WEIGHT, BODY_WEIGHT, CANDIDATES
from memory.text.words import query_terms

__all__ = ["find_words", "without_vector"]

_WEIGHTS = f"bm25(0.0, {BODY_WEIGHT}, {ASKED_WEIGHT}, {AROUND_WEIGHT})"


def find_words(connection: sqlite3.Connection, scopes: Sequence[int], question: str) -> dict[int, float]:
    """Return the best entries of these scopes with their BM25, from 0 up; any word of the question will do."""
    terms = query_terms(question)
    if not terms or not scopes:
        return {}
    within = " OR ".join(f'"s{scope}"' for scope in scopes)
    asked = " OR ".join(_quoted(term) for term in terms)
    rows = connection.execute(
        "SELECT rowid, rank FROM words WHERE words MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?",
        (f"scope : ({within}) AND {{body asked around}} : ({asked})", _WEIGHTS, CANDIDATES),
    )
    return {entry: -rank for entry, rank in rows}


def _quoted(term: Sequence[str]) -> str:
    """Return a word, or characters side by side, as FTS5 takes them literally."""
    return '"' + " ".join(term).replace('"', '""') + '"'


def without_vector(connection: sqlite3.Connection, model: str, most: int) -> tuple[tuple[int, str], ...]:
    """Return entries that have no vector of that model, oldest first."""
    rows = connection.execute(
        "SELECT id, author, text FROM entry LEFT JOIN vector ON vector.entry = entry.id AND vector.model = ?"
        " WHERE vector.entry IS NULL AND superseded_at IS NULL ORDER BY id LIMIT ?",
        (model, most),
    )
    return tuple((entry, f"{author}: {text}") for entry, author, text in rows)
