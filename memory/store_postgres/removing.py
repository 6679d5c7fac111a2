"""Removes entries, has the server rewrite its tables without them, and looks whether anything is left."""

from __future__ import annotations

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
    await _remove(connection, [entry])
    return True


async def erase(server: Server, senders: frozenset[str]) -> Erased:
    """Remove a person, have the tables rewritten, and look through them. Raises MemoryUnusable."""
    values = values_of(Who(senders, direct=True))
    async with server.transaction() as connection:
        await lock_persons(connection, values["senders"])
        gone = await memories(connection, "true ORDER BY entry.id", values)
        await _remove(connection, [entry.id for entry in gone])
        await connection.execute(f"DELETE FROM agentd_memory_learnt WHERE {_PERSONS}", values)  # noqa: S608 - as above
        await connection.execute(f"DELETE FROM agentd_memory_scope WHERE {_PERSONS}", values)  # noqa: S608 - as above
    async with server.connection() as connection:
        left = await _rows_left(connection, values, [entry.id for entry in gone])
    async with server.connection(REWRITE_SECONDS) as connection:
        left += await _rewrite(connection)
    return Erased(len(gone), sum(len(entry.evidence) for entry in gone), tuple(left))


async def _remove(connection: Connection, entries: Sequence[int]) -> None:
    """Remove entries with all that hangs on them; neighbours that stay are indexed anew, without them."""
    gone = set(entries)
    touched = {near for entry in entries for near in await neighbours_of(connection, entry)} - gone
    await connection.execute("DELETE FROM agentd_memory_entry WHERE id = ANY (%s)", [list(entries)])
    for entry in sorted(touched):
        await index_entry(connection, entry)


async def _rewrite(connection: Connection) -> list[str]:
    """Have each table written anew without what was deleted; say of which the server did not, or not wholly.

    A plain VACUUM would leave the bytes where they are until they are written over, and the words in the index.
    """
    kept: list[int] = []
    connection.add_notice_handler(lambda told: kept.extend(_rows_kept(told)))
    left = []
    try:
        await connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
        for table in TABLES:
            kept.clear()
            with suppress(LockNotAvailable):
                await connection.execute(f"VACUUM (FULL, VERBOSE) {table}")
            if kept != [0]:
                left.append(f"PostgreSQL: {table}, in use elsewhere or not ours: have it vacuumed with FULL later")
    finally:
        await connection.close()  # it has settings that calls should not have
    return left


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
