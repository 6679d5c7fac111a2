"""Removes entries, has the server rewrite its tables without them, and looks whether anything is left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, LiteralString

from psycopg.errors import Diagnostic, LockNotAvailable

from memory.model import Erased, Who
from memory.store_postgres.indexing import index_entry, neighbours_of
from memory.store_postgres.schema import TABLES
from memory.store_postgres.server import Connection, Server
from memory.store_postgres.visible import VISIBLE, Values, memories, values_of
from memory.store_postgres.writing import lock_persons

__all__ = ["erase", "forget"]

REWRITE_SECONDS = 300
"""How long the server may take for all tables: it writes each anew, and nobody reads it meanwhile."""

LOCK_SECONDS = 5
"""How long is waited for those who read a table, such as a backup; all others wait as long, too."""

REWRITES = 3
PAUSE_SECONDS = 1
"""So often is tried, since whoever writes at that moment still sees what was deleted just before."""

_PERSONS: Final[LiteralString] = "person = ANY (%(senders)s)"
_WHERE: Final[Mapping[LiteralString, LiteralString]] = {
    "agentd_memory_scope": _PERSONS,
    "agentd_memory_learnt": _PERSONS,
    "agentd_memory_entry": "id = ANY (%(gone)s)",
    "agentd_memory_evidence": "entry = ANY (%(gone)s)",
    "agentd_memory_words": "entry = ANY (%(gone)s)",
    "agentd_memory_vector": "entry = ANY (%(gone)s)",
}
"""What of a table would be the person's."""


async def forget(connection: Connection, values: Values, entry: int) -> bool:
    """Remove an entry that is seen, and its words from its neighbours' index; to be done in a transaction."""
    await lock_persons(connection, values["senders"])
    found = await connection.execute(
        f"SELECT id FROM agentd_memory_entry WHERE id = %(entry)s AND {VISIBLE}",  # noqa: S608 - no value is put into it
        {**values, "entry": entry},
    )
    if await found.fetchone() is None:
        return False
    touched = await neighbours_of(connection, entry)
    await connection.execute("DELETE FROM agentd_memory_entry WHERE id = %s", [entry])
    for neighbour in touched:
        await index_entry(connection, neighbour)
    return True


async def erase(server: Server, senders: frozenset[str]) -> Erased:
    """Remove a person, have the tables rewritten, and look through them. Raises MemoryUnusable.

    In the index, an entry's words stand only with neighbours of the same person's, which go too.
    """
    values = values_of(Who(senders, direct=True))
    async with server.transaction() as connection:
        await lock_persons(connection, values["senders"])
        gone = await memories(connection, "true ORDER BY entry.id", values)
        await connection.execute(f"DELETE FROM agentd_memory_entry AS entry WHERE {VISIBLE}", values)  # noqa: S608 - as above
        await connection.execute(f"DELETE FROM agentd_memory_learnt WHERE {_PERSONS}", values)  # noqa: S608 - as above
        await connection.execute(f"DELETE FROM agentd_memory_scope WHERE {_PERSONS}", values)  # noqa: S608 - as above
    async with server.connection() as connection:
        left = await _rows_left(connection, values, [entry.id for entry in gone])
    async with server.connection(REWRITE_SECONDS) as connection:
        left += [
            f"PostgreSQL: {table}, in use elsewhere or not ours: have it vacuumed with FULL later"
            for table in await _rewrite_all(connection)
        ]
    return Erased(len(gone), sum(len(entry.evidence) for entry in gone), tuple(left))


async def _rewrite_all(connection: Connection) -> list[str]:
    """Have the tables written anew without what was deleted; return those of which the server did not, or not wholly.

    A plain VACUUM would leave the bytes where they are until they are written over, and the words in the index.
    """
    kept: list[int] = []
    connection.add_notice_handler(lambda told: kept.extend(_rows_kept(told)))
    left = list(TABLES)
    try:
        await connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
        for attempt in range(REWRITES):
            await asyncio.sleep(PAUSE_SECONDS if attempt else 0)
            left = [table for table in left if not await _rewrite(connection, table, kept)]
            if not left:
                break
    finally:
        await connection.close()  # it has settings that calls should not have
    return left


async def _rewrite(connection: Connection, table: LiteralString, kept: list[int]) -> bool:
    """Tell whether the table was written anew, and without any row that was deleted."""
    kept.clear()
    with suppress(LockNotAvailable):
        await connection.execute(f"VACUUM (FULL, VERBOSE) {table}")
    return kept == [0]


def _rows_kept(told: Diagnostic) -> Iterator[int]:
    """Return how many deleted rows somebody else still sees, as VACUUM tells it once for a table that it wrote anew."""
    number = re.search(r"\d+", told.message_detail or "") if told.severity_nonlocalized == "INFO" else None
    if number is not None:
        yield int(number.group())


async def _rows_left(connection: Connection, values: Values, gone: Sequence[int]) -> list[str]:
    given = {**values, "gone": list(gone)}
    counts = [
        (table, await connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}", given))  # noqa: S608
        for table, condition in _WHERE.items()
    ]
    return [f"PostgreSQL: {n} rows in {table}" for table, rows in counts for (n,) in await rows.fetchall() if n]
