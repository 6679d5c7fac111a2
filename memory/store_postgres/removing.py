"""This module forgets entries and erases people in PostgreSQL: it deletes rows, rewrites tables, and checks them."""

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
"""How long rewriting all tables may take; while the server rewrites one, nobody can read it."""

LOCK_SECONDS = 5
"""How long to wait for a table's readers, such as a backup; everybody else waits as long."""

REWRITES = 3
PAUSE_SECONDS = 1
"""How often rewriting is tried, and the pause between: a transaction that is open then still sees the deleted rows."""

_PERSONS: Final[LiteralString] = "person = ANY (%(senders)s)"
_WHERE: Final[Mapping[LiteralString, LiteralString]] = {
    "agentd_memory_scope": _PERSONS,
    "agentd_memory_learnt": _PERSONS,
    "agentd_memory_entry": "id = ANY (%(gone)s)",
    "agentd_memory_evidence": "entry = ANY (%(gone)s)",
    "agentd_memory_words": "entry = ANY (%(gone)s)",
    "agentd_memory_vector": "entry = ANY (%(gone)s)",
}
"""The condition for a person's rows in each table."""


async def forget(connection: Connection, values: Values, entry: int) -> bool:
    """Remove a visible entry, and its words from its neighbours' index; to be called in a transaction."""
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
    """Remove a person, have the tables rewritten, and check them for what is left. Raises MemoryUnusable.

    The index has an entry's words only with the same person's neighbours, which are removed too.
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
    """Rewrite the tables without deleted rows (VACUUM FULL), and return those for which that failed.

    A plain VACUUM would leave the bytes in place until they are overwritten, and the words in the index.
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
        await connection.close()  # its lock timeout must not stay for other calls
    return left


async def _rewrite(connection: Connection, table: LiteralString, kept: list[int]) -> bool:
    """Rewrite a table, and tell whether it now has no deleted row."""
    kept.clear()
    with suppress(LockNotAvailable):
        await connection.execute(f"VACUUM (FULL, VERBOSE) {table}")
    return kept == [0]


def _rows_kept(told: Diagnostic) -> Iterator[int]:
    """Yield how many deleted rows others still see, which VACUUM reports once for each table that it rewrites."""
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
