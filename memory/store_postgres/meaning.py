"""This module reads the embeddings of a person's entries from PostgreSQL, and compares them with a question's.

They are compared in this process, as those of SQLite are: the server needs no extension.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Final, LiteralString

from memory.meaning import MOST_VECTORS, Meaning, compare_all
from memory.recall import CANDIDATES, Likeness
from memory.store_postgres.server import Connection

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness

__all__ = ["likeness", "renew"]

_OF_SCOPES: Final[LiteralString] = """
    FROM agentd_memory_entry AS entry JOIN agentd_memory_vector AS vector ON vector.entry = entry.id
    WHERE entry.scope = ANY (%(ids)s) AND vector.model = %(model)s AND length(vector.floats) = %(size)s
        AND entry.superseded_at IS NULL
"""
_STATE: Final[LiteralString] = f"SELECT count(*), max(vector.entry) {_OF_SCOPES}"
_VECTORS: Final[LiteralString] = f"""
    SELECT entry.id, entry.session, entry.kind, entry.happened, vector.floats
    {_OF_SCOPES} ORDER BY entry.id DESC LIMIT %(most)s
"""


async def likeness(
    connection: Connection, meaning: Meaning, scopes: tuple[int, ...], asked: bytes, found: Iterable[int]
) -> Likeness:
    """Return the cosines of the entries nearest to the question, and of those that its words found."""
    state = await _state(connection, meaning, scopes, len(asked))
    nearness = meaning.kept(scopes, state, len(asked)) or await _read(connection, meaning, scopes, len(asked))
    return await asyncio.to_thread(nearness.likeness, asked, CANDIDATES, found)


async def renew(connection: Connection, meaning: Meaning) -> None:
    """Read the cached vectors again for the askers whose vectors have changed."""
    for scopes, before, size in meaning.all_kept:
        if before != await _state(connection, meaning, scopes, size):
            await _read(connection, meaning, scopes, size)


async def _state(connection: Connection, meaning: Meaning, scopes: tuple[int, ...], size: int) -> Hashable:
    """Return a value that changes when any process adds or removes a vector."""
    given = {"ids": list(scopes), "model": meaning.model, "size": size}
    return await (await connection.execute(_STATE, given)).fetchone()


async def _read(connection: Connection, meaning: Meaning, scopes: tuple[int, ...], size: int) -> Nearness:
    state = await _state(connection, meaning, scopes, size)
    given = {"ids": list(scopes), "model": meaning.model, "size": size, "most": MOST_VECTORS}
    async with connection.cursor(binary=True) as cursor:
        rows = await (await cursor.execute(_VECTORS, given)).fetchall()
    nearness = await asyncio.to_thread(compare_all, rows, size)
    meaning.keep(scopes, state, nearness)
    return nearness
