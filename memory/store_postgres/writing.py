"""This module writes what was learnt to PostgreSQL in one transaction: entries, evidence and the range that is done.

A lock on the person lets one process at a time write about them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeAlias
from zlib import crc32

from memory.comparing import Known
from memory.learning import MOST_EVIDENCE, Step, decide, read_said
from memory.model import Change, Daily, Deed, Exchange, Fact, Kind, LearnOutcome, Lesson
from memory.store_postgres.indexing import drop_words, index_entry, neighbours_of
from memory.store_postgres.server import Connection
from memory.stored import stamp, storable, storable_exchange, storable_fact

__all__ = ["keep_vectors", "knows", "learn", "lock_persons", "watermark"]

_LOCKS = 0x61676D65
"""The first half of a person's advisory lock; the second is computed from the person's id."""

_Row: TypeAlias = tuple[Kind, str, str, float, int, int]
"""An entry's kind, text, slot, importance, and when it was written and happened."""


async def lock_persons(connection: Connection, persons: Iterable[str]) -> None:
    """Lock these people until the end of the transaction, waiting for other writers.

    A write reads and changes one person's rows only. Locks are taken in sorted order, which excludes deadlocks.
    """
    for key in sorted({crc32(person.encode()) - 2**31 for person in persons}):
        await connection.execute("SELECT pg_advisory_xact_lock(%s::integer, %s::integer)", (_LOCKS, key))


async def learn(connection: Connection, lesson: Lesson, now: datetime) -> LearnOutcome:
    """Write a lesson, unless its range was learnt before; to be called in a transaction. Raises psycopg.Error."""
    exchange = storable_exchange(lesson.exchange)
    await lock_persons(connection, [exchange.person])
    if lesson.is_range and await _is_done(connection, exchange):
        return LearnOutcome(False)
    scope = await _scope(connection, exchange)
    if lesson.daily is not None:
        await _add_daily(connection, scope, exchange, lesson.daily, now)
    changes = await _keep_facts(connection, scope, exchange, lesson.facts, now)
    if lesson.is_range:
        await connection.execute(
            "INSERT INTO agentd_memory_learnt (session, began, person, first, last) VALUES (%s, %s, %s, %s, %s)",
            (exchange.session, exchange.began, exchange.person, exchange.first, exchange.last),
        )
    return LearnOutcome(True, changes)


async def knows(connection: Connection, exchange: Exchange) -> bool:
    """Tell whether the range, or a part of it, was learnt before."""
    return await _is_done(connection, storable_exchange(exchange))


async def watermark(connection: Connection, session: str, began: str) -> int | None:
    """Return the last seq of the session that was learnt from, by any of its people; None: nothing was."""
    row = await connection.execute(
        "SELECT max(last) FROM agentd_memory_learnt WHERE session = %s AND began = %s", [storable(session), began]
    )
    [seq] = await row.fetchone() or (None,)
    return None if seq is None else int(seq)


async def keep_vectors(connection: Connection, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
    """Keep vectors of entries that are still there; each in its own statement, so that no erasure causes a deadlock."""
    for entry, floats in vectors:
        await connection.execute(
            "INSERT INTO agentd_memory_vector (entry, model, floats)"
            " SELECT id, %s, %s FROM agentd_memory_entry WHERE id = %s FOR KEY SHARE"
            " ON CONFLICT (entry) DO UPDATE SET model = EXCLUDED.model, floats = EXCLUDED.floats",
            (model, floats, entry),
        )


async def _is_done(connection: Connection, exchange: Exchange) -> bool:
    """Tell whether a part of the range was learnt before; every range is checked, since a dead task may be revived."""
    rows = await connection.execute(
        "SELECT EXISTS (SELECT 1 FROM agentd_memory_learnt"
        " WHERE session = %s AND began = %s AND person = %s AND last >= %s AND first <= %s)",
        (exchange.session, exchange.began, exchange.person, exchange.first, exchange.last),
    )
    [(found,)] = await rows.fetchall()
    return bool(found)


async def _scope(connection: Connection, exchange: Exchange) -> int:
    given = (exchange.person, exchange.direct)
    await connection.execute(
        "INSERT INTO agentd_memory_scope (person, direct) VALUES (%s, %s) ON CONFLICT DO NOTHING", given
    )
    rows = await connection.execute("SELECT id FROM agentd_memory_scope WHERE person = %s AND direct = %s", given)
    [(number,)] = await rows.fetchall()
    return int(number)


async def _add_daily(connection: Connection, scope: int, exchange: Exchange, daily: Daily, now: datetime) -> None:
    row = (Kind.DAILY, storable(daily.text), "", daily.importance, stamp(now), stamp(daily.happened))
    entry = await _insert(connection, scope, exchange, row)
    for neighbour in await neighbours_of(connection, entry):
        await index_entry(connection, neighbour)


async def _insert(connection: Connection, scope: int, exchange: Exchange, row: _Row) -> int:
    """Add an entry."""
    added = await connection.execute(
        "INSERT INTO agentd_memory_entry"
        " (scope, author, session, first, last, kind, text, about, importance, created, happened)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (scope, exchange.name, exchange.session, exchange.first, exchange.last, *row),
    )
    [(number,)] = await added.fetchall()
    await index_entry(connection, number)
    return int(number)


async def _keep_facts(
    connection: Connection, scope: int, exchange: Exchange, facts: Sequence[Fact], now: datetime
) -> tuple[Change, ...]:
    """Decide and write fact by fact; each is compared with those before it, too.

    With many known facts a comparison takes time, so that it runs on a thread.
    """
    if not facts:
        return ()
    changes = []
    said, known = await asyncio.to_thread(read_said, exchange), await _known(connection, scope)
    for fact in map(storable_fact, facts):
        step = await asyncio.to_thread(decide, said, fact, known)
        entry = await _do(connection, scope, exchange, step, now)
        changes.append(Change(step.deed, entry))
        known = [old for old in known if step.deed is Deed.KNOWN or old.id != step.entry]
        if entry is not None and step.deed is not Deed.KNOWN:
            known.append(Known(entry, step.fact.text, step.fact.about))
    return tuple(changes)


async def _known(connection: Connection, scope: int) -> list[Known]:
    rows = await connection.execute(
        "SELECT id, text, about FROM agentd_memory_entry"
        " WHERE scope = %s AND kind = %s AND superseded_at IS NULL ORDER BY id",
        (scope, Kind.CORE),
    )
    return [Known(*row) async for row in rows]


async def _do(connection: Connection, scope: int, exchange: Exchange, step: Step, now: datetime) -> int | None:
    """Do one step, and return the entry that holds the fact now."""
    if step.deed is Deed.UNFOUNDED:
        return None
    if step.deed is Deed.KNOWN:
        entry = step.entry
    else:
        happened = max((words.at for words in exchange.said), default=now)
        row = (Kind.CORE, step.fact.text, step.fact.about, step.fact.importance, stamp(now), stamp(happened))
        entry = await _insert(connection, scope, exchange, row)
        await _supersede(connection, step.entry, entry, now)
    for given in step.fact.evidence:
        await connection.execute(
            "INSERT INTO agentd_memory_evidence (entry, session, seq, quote) SELECT %s, %s, %s, %s"
            " WHERE (SELECT count(*) FROM agentd_memory_evidence WHERE entry = %s) < %s ON CONFLICT DO NOTHING",
            (entry, given.session, given.seq, given.quote, entry, MOST_EVIDENCE),
        )
    return entry


async def _supersede(connection: Connection, old: int | None, new: int, now: datetime) -> None:
    """Mark the old entry as superseded: recall no longer finds it, but it can still be listed."""
    if old is not None:
        await connection.execute(
            "UPDATE agentd_memory_entry SET superseded_at = %s, superseded_by = %s WHERE id = %s",
            (stamp(now), new, old),
        )
        await drop_words(connection, old)
