"""This module keeps the word index in PostgreSQL: each entry with its neighbours of the same scope and occasion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg.types.json import Jsonb

from memory.model import Kind
from memory.recall import (
    AROUND_WEIGHT,
    ASKED_WEIGHT,
    BODY_WEIGHT,
    NEIGHBOURS,
    SAME_OCCASION_SECONDS,
    Indexed,
    Told,
    index,
)
from memory.store_postgres.server import Connection
from memory.stored import moment
from memory.text.words import indexed_terms

__all__ = ["drop_words", "index_entry", "key_of_scope", "key_of_term", "neighbours_of"]

_ROW: Final[LiteralString] = "SELECT id, scope, kind, author, session, text, happened FROM agentd_memory_entry"


@dataclass(frozen=True, slots=True)
class _Row:
    """The columns of an entry that the index needs, by their names and in their order."""

    id: int
    scope: int
    kind: str
    author: str
    session: str
    text: str
    happened: int

    def told(self) -> Told:
        """Return the parts that are indexed."""
        return Told(self.author, self.text, moment(self.happened))


async def index_entry(connection: Connection, entry: int) -> None:
    """Index an entry's words, replacing those that are there."""
    [row] = await _rows(connection, f"{_ROW} WHERE id = %s", [entry])
    before, behind = await _around(connection, row)
    words = index(row.told(), [found.told() for found in before], [found.told() for found in behind])
    size = sum(len(column.split()) for column in (words.body, words.asked, words.around))
    await connection.execute(
        "INSERT INTO agentd_memory_words (entry, scope, size, terms) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (entry) DO UPDATE SET size = EXCLUDED.size, terms = EXCLUDED.terms",
        (entry, row.scope, size, Jsonb({**_weighed(words), key_of_scope(row.scope): 0})),
    )


async def neighbours_of(connection: Connection, entry: int) -> list[int]:
    """Return the neighbours of an entry: its words are indexed with those, too."""
    [row] = await _rows(connection, f"{_ROW} WHERE id = %s", [entry])
    before, behind = await _around(connection, row)
    return [found.id for found in (*before, *behind)]


async def drop_words(connection: Connection, entry: int) -> None:
    """Take an entry out of the index."""
    await connection.execute("DELETE FROM agentd_memory_words WHERE entry = %s", [entry])


def key_of_term(term: Sequence[str]) -> str:
    """Return the key in the index for a word, or for a pair of CJK characters."""
    return " ".join(term)


def key_of_scope(scope: int) -> str:
    """Return the key in the index for a scope; it begins with a space, so that no term has it."""
    return f" {scope}"


def _weighed(words: Indexed) -> Mapping[str, float]:
    """Return for each term the number of its occurrences, multiplied by the weight of their column."""
    columns = ((words.body, BODY_WEIGHT), (words.asked, ASKED_WEIGHT), (words.around, AROUND_WEIGHT))
    sums: dict[str, float] = {}
    for column, weight in columns:
        for term, often in Counter(map(key_of_term, indexed_terms(column))).items():
            sums[term] = sums.get(term, 0.0) + often * weight
    return {term: round(total, 3) for term, total in sums.items()}


async def _around(connection: Connection, row: _Row) -> tuple[list[_Row], list[_Row]]:
    """Return the neighbours before and behind, nearest first; a lasting fact has none."""
    if row.kind != Kind.DAILY:
        return [], []
    same = f"{_ROW} WHERE session = %s AND scope = %s AND kind = %s"
    given = [row.session, row.scope, row.kind, row.id, NEIGHBOURS]
    before = await _rows(connection, f"{same} AND id < %s ORDER BY id DESC LIMIT %s", given)
    behind = await _rows(connection, f"{same} AND id > %s ORDER BY id LIMIT %s", given)
    return [found for found in before if _is_near(row, found)], [found for found in behind if _is_near(row, found)]


def _is_near(row: _Row, other: _Row) -> bool:
    return abs(row.happened - other.happened) <= SAME_OCCASION_SECONDS * 1000


async def _rows(connection: Connection, query: LiteralString, values: Sequence[Any]) -> list[_Row]:
    return [_Row(*row) async for row in await connection.execute(query, values)]
