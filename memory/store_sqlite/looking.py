"""Looks up what answers a question: the first stage, on the person's part of the index alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from itertools import accumulate

from memory.recall import AROUND_WEIGHT, ASKED_WEIGHT, BODY_WEIGHT, CANDIDATES
from memory.text.words import query_terms

__all__ = ["find_words", "without_vector"]

MOST_ROWS = 2000
"""So many entries are scored for a question, by and large."""

Term = tuple[str, ...]

_WEIGHTS = f"bm25(0.0, {BODY_WEIGHT}, {ASKED_WEIGHT}, {AROUND_WEIGHT})"


def find_words(connection: sqlite3.Connection, scopes: Sequence[int], question: str) -> dict[int, float]:
    """Return the best entries of these scopes with their BM25, from 0 up; any word of the question will do."""
    terms = query_terms(question)
    if not terms or not scopes:
        return {}
    newest = _newest(connection, scopes)
    rows = _few(connection, scopes, terms) if newest is None else _many(connection, scopes, terms, newest)
    return {entry: -rank for entry, rank in rows}


def _newest(connection: sqlite3.Connection, scopes: Sequence[int]) -> int | None:
    """Return where the newest `MOST_ROWS` entries of a scope begin; None where none of them has more than that."""
    query = "SELECT id FROM entry WHERE scope = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
    found = [connection.execute(query, (scope, MOST_ROWS)).fetchone() for scope in scopes]
    return min((int(row[0]) for row in found if row is not None), default=None)


def _few(connection: sqlite3.Connection, scopes: Sequence[int], terms: Sequence[Term]) -> sqlite3.Cursor:
    """Look up all terms, in the scopes' part of the index."""
    within = " OR ".join(f'"s{scope}"' for scope in scopes)
    return connection.execute(
        "SELECT rowid, rank FROM words WHERE words MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?",
        (f"scope : ({within}) AND {_any(terms)}", _WEIGHTS, CANDIDATES),
    )


def _many(connection: sqlite3.Connection, scopes: Sequence[int], terms: Sequence[Term], newest: int) -> sqlite3.Cursor:
    """Look up the rarest terms, in an index of which the scopes have a large part.

    A common word finds thousands of entries that it does not tell apart, and each costs time. Where even the rarest
    finds too many, the newest entries alone are looked at.
    """
    counted = sorted((_rows_with(connection, term), place) for place, term in enumerate(terms))
    sums = accumulate(rows for rows, _ in counted)
    kept = [terms[place] for (_, place), total in zip(counted, sums, strict=True) if total <= MOST_ROWS]
    return connection.execute(
        "SELECT words.rowid, words.rank FROM words CROSS JOIN entry ON entry.id = words.rowid"
        " WHERE words MATCH ? AND rank MATCH ? AND words.rowid >= ? AND entry.scope IN (SELECT value FROM json_each(?))"
        " ORDER BY words.rank LIMIT ?",
        (
            _any(kept or [terms[counted[0][1]]]),
            _WEIGHTS,
            0 if kept else newest,
            json.dumps(list(scopes)),
            CANDIDATES,
        ),
    )


def _any(terms: Sequence[Term]) -> str:
    return f"{{body asked around}} : ({' OR '.join(map(_quoted, terms))})"


def _rows_with(connection: sqlite3.Connection, term: Term) -> int:
    """Return in how many entries of all people the rarest of its words stands."""
    found = (connection.execute("SELECT doc FROM temp.vocabulary WHERE term = ?", [word]).fetchone() for word in term)
    return min(row[0] if row else 0 for row in found)


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
