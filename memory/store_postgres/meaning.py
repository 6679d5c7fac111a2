"""Looks among the vectors of the person's entries for what is like a question in meaning.

They are compared in this process, as those of SQLite are: the server needs no extension for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, LiteralString

from memory.meaning import MOST_VECTORS, Meaning, compare_all
from memory.recall import CANDIDATES, Likeness
from memory.store_postgres.server import Connection

if TYPE_CHECKING:
    from memory.embeddings.nearness import Nearness

__all__ = ["likeness"]

_OF_SCOPES: Final[LiteralString] = """
    FROM agentd_memory_entry AS entry JOIN agentd_memory_vector AS vector ON vector.entry = entry.id
    WHERE entry.scope = ANY (%(ids)s) AND vector.model = %(model)s AND entry.superseded_at IS NULL
"""
_STATE: Final[LiteralString] = f"SELECT count(*), max(vector.entry) {_OF_SCOPES}"
_VECTORS: Final[LiteralString] = f"""
    SELECT entry.id, entry.session, entry.kind, entry.happened, vector.floats
    {_OF_SCOPES} ORDER BY entry.id DESC LIMIT %(most)s
"""


async def likeness(
    connection: Connection, meaning: Meaning, scopes: tuple[int, ...], asked: bytes, found: Iterable[int]
) -> Likeness:
    """Return the cosine of what is most like the question, and of what its words found."""
    nearness = await _nearness(connection, meaning, scopes)
    return await asyncio.to_thread(nearness.likeness, asked, CANDIDATES, found)


async def _nearness(connection: Connection, meaning: Meaning, scopes: tuple[int, ...]) -> Nearness:
    """Return the vectors of these scopes, read anew if one was added or removed."""
    given = {"ids": list(scopes), "model": meaning.model, "most": MOST_VECTORS}
    count, newest = await (await connection.execute(_STATE, given)).fetchone() or (0, None)
    kept = meaning.kept(scopes, (count, newest))
    if kept is not None:
        return kept
    async with connection.cursor(binary=True) as cursor:
        rows = await (await cursor.execute(_VECTORS, given)).fetchall()
    nearness = await asyncio.to_thread(compare_all, rows)
    meaning.keep(scopes, (count, newest), nearness)
    return nearness
