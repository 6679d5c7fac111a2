"""This module searches the word index with BM25, in the person's part of the index only: the first stage of recall.

Each query returns all it finds as one row of JSON: for every row Python's global lock is released, and has to be waited
for again while other threads run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from memory.recall import CANDIDATES
from memory.store_sqlite.indexing import number_of
from memory.store_sqlite.weighing import Hit, best_places, spread, weigh
from memory.text.words import Term, query_terms

__all__ = ["find_words", "without_vector"]

MOST_ROWS = 2000
"""About how many places of a question's words are read, at most."""

FEW_ROWS, FEW_TERMS = 250, 8
"""Words with fewer than 250 places are counted first; if there are eight of them, no other word is looked up."""

MOST_WEIGHED = 600
"""How many entries, neighbours of the places included, are weighed with their length."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A scope's part of the index."""

    scope: int
    key: bytes
    entries: int
    words: int
    since: int = 0
    """The first place that is searched."""


def find_words(connection: sqlite3.Connection, scopes: Sequence[int], question: str) -> dict[int, float]:
    """Return the best entries of these scopes with their BM25 scores, from 0 up; any word of the question may match.

    A common word finds thousands of entries without telling them apart, and each costs time: only the rarest words are
    looked up. If even the rarest finds too many, only the newest entries are searched.
    """
    terms, parts = query_terms(question), _parts(connection, scopes)
    if not terms or not any(part.entries for part in parts):
        return {}
    rarest = _rarest(connection, parts, terms)
    if not rarest:
        parts = [_newest(connection, part) for part in parts]
        rarest = _rarest(connection, parts, terms, least=1)
    entries, words = sum(part.entries for part in parts), sum(part.words for part in parts)
    found = [spread(hits) for hits in _hits(connection, parts, rarest)]
    places = best_places(found, entries, MOST_WEIGHED)
    there, numbers, lengths = _entries_at(connection, places)
    known = dict(zip(there, lengths, strict=True))
    scores = weigh(found, entries, words / entries, known, len(places) < MOST_WEIGHED)
    scored = {number: scores[place] for place, number in zip(there, numbers, strict=True)}
    best = sorted(sorted(scored), key=scored.__getitem__, reverse=True)[:CANDIDATES]
    return {number: scored[number] for number in best}


def _parts(connection: sqlite3.Connection, scopes: Sequence[int]) -> list[_Part]:
    rows = connection.execute(
        "SELECT id, key, entries, words FROM scope WHERE id IN (SELECT value FROM json_each(?)) AND entries > 0",
        [json.dumps(list(scopes))],
    )
    return [_Part(*row) for row in rows]


def _newest(connection: sqlite3.Connection, part: _Part) -> _Part:
    """Return a scope's part that is limited to about its newest `MOST_ROWS` entries."""
    row = connection.execute(
        "SELECT place FROM placed WHERE scope = ? ORDER BY place DESC LIMIT 1 OFFSET ?", (part.scope, MOST_ROWS)
    ).fetchone()
    if row is None:
        return part
    return replace(part, since=row[0], entries=MOST_ROWS + 1, words=part.words * (MOST_ROWS + 1) // part.entries)


def _rarest(
    connection: sqlite3.Connection, parts: Sequence[_Part], terms: Sequence[Term], least: int = 0
) -> list[Term]:
    """Return the rarest terms that find at most `MOST_ROWS` places together, but at least `least` terms."""
    counts = _count(connection, parts, terms, FEW_ROWS)
    rare = {term: count for term, count in counts.items() if count < FEW_ROWS}
    if len(rare) < FEW_TERMS and sum(rare.values()) < MOST_ROWS - FEW_ROWS:
        rare |= _count(connection, parts, [term for term in counts if term not in rare], MOST_ROWS + 1)
    order = sorted(rare, key=rare.__getitem__)
    totals = accumulate(rare[term] for term in order)
    return [term for n, (term, total) in enumerate(zip(order, totals, strict=True)) if total <= MOST_ROWS or n < least]


def _count(connection: sqlite3.Connection, parts: Sequence[_Part], terms: Sequence[Term], most: int) -> dict[Term, int]:
    """Return for each term of the index the number of its places, counted up to `most` in each part."""
    counted: list[int] = _one_row(
        connection,
        "SELECT json_group_array((SELECT count(*) FROM ("
        " SELECT 1 FROM words WHERE term = json_extract(asked.value, '$[1]')"
        " AND place >= json_extract(asked.value, '$[2]') LIMIT ?2))) FROM json_each(?1) AS asked",
        _asked(parts, terms),
        most,
    )
    sums = {term: sum(counted[n * len(parts) : (n + 1) * len(parts)]) for n, term in enumerate(terms)}
    return {term: count for term, count in sums.items() if count}


def _hits(connection: sqlite3.Connection, parts: Sequence[_Part], terms: Sequence[Term]) -> list[list[Hit]]:
    """Return the places of each term."""
    columns: tuple[list[int], list[int], list[int]] = _one_row(
        connection,
        "SELECT json_array(json_group_array(json_extract(asked.value, '$[0]')), json_group_array(place),"
        " json_group_array(told)) FROM json_each(?) AS asked"
        " CROSS JOIN words ON term = json_extract(asked.value, '$[1]') AND place >= json_extract(asked.value, '$[2]')",
        _asked(parts, terms),
    )
    hits: list[list[Hit]] = [[] for _ in terms]
    for number, place, told in zip(*columns, strict=True):
        hits[number].append((place, told))
    return hits


def _asked(parts: Sequence[_Part], terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    """Return for each term and part the term's place in the question, its hash, and the first place to search."""
    return [(place, number_of(part.key, term), part.since) for place, term in enumerate(terms) for part in parts]


def _entries_at(connection: sqlite3.Connection, places: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return which of the places have entries, those entries, and their lengths with their neighbours'."""
    columns: list[list[int]] = _one_row(
        connection,
        "SELECT json_array(json_group_array(place), json_group_array(entry), json_group_array(total)) FROM placed"
        " WHERE place IN (SELECT value FROM json_each(?))",
        places,
    )
    there, entries, lengths = columns
    return there, entries, lengths


def _one_row(connection: sqlite3.Connection, query: str, asked: object, *more: int) -> Any:
    [found] = connection.execute(query, [json.dumps(asked), *more]).fetchone()
    return json.loads(found)


def without_vector(connection: sqlite3.Connection, model: str, most: int) -> tuple[tuple[int, str], ...]:
    """Return entries that have no vector of that model, oldest first."""
    rows = connection.execute(
        "SELECT id, author, text FROM entry LEFT JOIN vector ON vector.entry = entry.id AND vector.model = ?"
        " WHERE vector.entry IS NULL AND superseded_at IS NULL ORDER BY id LIMIT ?",
        (model, most),
    )
    return tuple((entry, f"{author}: {text}") for entry, author, text in rows)
