"""This module searches the word index with BM25, on the server and in the person's part of the index only.

It is the first stage of recall. BM25 is computed as SQLite's `bm25()` does, except that a word's rarity is taken from
the person's own entries, not from everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, LiteralString

from memory.recall import CANDIDATES
from memory.store_postgres.indexing import key_of_scope, key_of_term
from memory.store_postgres.server import Connection
from memory.text.words import query_terms

__all__ = ["find_words", "without_vector"]

MOST_ROWS = 2000
"""About how many entries are scored for a question, at most."""

_NEWEST: Final[LiteralString] = """
    SELECT min(id) FROM unnest(%(ids)s::bigint[]) AS seen, LATERAL (
        SELECT id FROM agentd_memory_entry WHERE scope = seen ORDER BY id DESC OFFSET %(most)s LIMIT 1
    ) AS nth
"""

_COUNTED: Final[LiteralString] = """
    SELECT (
        SELECT count(*) FROM (
            SELECT FROM agentd_memory_words WHERE terms ?| %(scopes)s AND terms ? term LIMIT %(most)s
        ) AS bounded
    ) FROM unnest(%(terms)s::text[]) WITH ORDINALITY AS asked (term, place) ORDER BY place
"""

_SCORED: Final[LiteralString] = """
    WITH found AS MATERIALIZED (
        SELECT entry, size, terms FROM agentd_memory_words
        WHERE terms ?| %(scopes)s AND terms ?| %(terms)s AND entry >= %(newest)s
    ), hits AS MATERIALIZED (
        SELECT entry, size, term, (terms -> term)::float8 AS often
        FROM found CROSS JOIN unnest(%(terms)s::text[]) AS term WHERE terms ? term
    ), whole AS MATERIALIZED (
        SELECT count(*)::float8 AS entries, avg(size)::float8 AS size
        FROM agentd_memory_words WHERE scope = ANY (%(ids)s)
    ), rarity AS MATERIALIZED (
        SELECT term, greatest(ln((entries - count(*) + 0.5) / (count(*) + 0.5)), 1e-6) AS rare
        FROM hits CROSS JOIN whole GROUP BY term, entries
    )
    SELECT entry, sum(rare * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * (hits.size / whole.size)))) AS score
    FROM hits JOIN rarity USING (term) CROSS JOIN whole GROUP BY entry ORDER BY score DESC, entry LIMIT %(most)s
"""
"""BM25 with k1 = 1.2 and b = 0.75; a word in more than half of the entries counts next to nothing."""


async def find_words(connection: Connection, scopes: Sequence[int], question: str) -> dict[int, float]:
    """Return the best entries of these scopes with their BM25 scores, from 0 up; any word of the question may match."""
    terms = [key_of_term(term) for term in query_terms(question)]
    if not terms or not scopes:
        return {}
    within = {"ids": list(scopes), "scopes": [key_of_scope(scope) for scope in scopes]}
    [newest] = await (await connection.execute(_NEWEST, {**within, "most": MOST_ROWS})).fetchone() or (None,)
    if newest is not None:
        terms, newest = await _rarest(connection, within, terms, newest)
    given = {**within, "terms": terms, "newest": newest or 0, "most": CANDIDATES}
    return {entry: float(score) async for entry, score in await connection.execute(_SCORED, given)}


async def _rarest(
    connection: Connection, within: dict[str, Any], terms: list[str], newest: int
) -> tuple[list[str], int]:
    """Return the rarest terms, and the entry id from which on they are looked for.

    A common word finds thousands of entries without telling them apart, and each costs time. If even the rarest finds
    too many, only the newest entries are searched.
    """
    rows = await connection.execute(_COUNTED, {**within, "terms": terms, "most": MOST_ROWS + 1})
    counted = sorted((count, place) for place, (count,) in enumerate(await rows.fetchall()))
    sums = accumulate(count for count, _ in counted)
    kept = [terms[place] for (_, place), total in zip(counted, sums, strict=True) if total <= MOST_ROWS]
    return (kept, 0) if kept else ([terms[counted[0][1]]], newest)


async def without_vector(connection: Connection, model: str, most: int) -> tuple[tuple[int, str], ...]:
    """Return entries that have no vector of that model, oldest first."""
    rows = await connection.execute(
        "SELECT id, author, text FROM agentd_memory_entry AS entry"
        " LEFT JOIN agentd_memory_vector AS vector ON vector.entry = entry.id AND vector.model = %s"
        " WHERE vector.entry IS NULL AND superseded_at IS NULL ORDER BY id LIMIT %s",
        (model, most),
    )
    return tuple([(entry, f"{author}: {text}") async for entry, author, text in rows])
