"""This module writes what was learnt to SQLite in one transaction: entries, evidence and the range that is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from memory.model import MOST_EVIDENCE, Change, Daily, Deed, Exchange, Fact, Kind, LearnOutcome, Lesson
from memory.store_sqlite.indexing import drop_words, index_entry
from memory.store_sqlite.schema import transaction
from memory.stored import stamp, storable, storable_exchange, storable_fact

if TYPE_CHECKING:
    from memory.comparing import Known
    from memory.learning import Step

__all__ = ["keep_vectors", "knows", "learn", "watermark"]


def learn(connection: sqlite3.Connection, lesson: Lesson, now: datetime) -> LearnOutcome:
    """Write a lesson in one transaction, unless its range was learnt before. Raises sqlite3.Error."""
    exchange = storable_exchange(lesson.exchange)
    with transaction(connection):
        if lesson.is_range and _is_done(connection, exchange):
            return LearnOutcome(False)
        scope = _scope(connection, exchange)
        if lesson.daily is not None:
            _add_daily(connection, scope, exchange, lesson.daily, now)
        changes = _keep_facts(connection, scope, exchange, lesson.facts, now)
        if lesson.is_range:
            row = (exchange.session, exchange.began, exchange.person, exchange.first, exchange.last)
            connection.execute("INSERT INTO learnt VALUES (?, ?, ?, ?, ?)", row)
        return LearnOutcome(True, changes)


def knows(connection: sqlite3.Connection, exchange: Exchange) -> bool:
    """Tell whether the range, or a part of it, was learnt before."""
    return _is_done(connection, storable_exchange(exchange))


def watermark(connection: sqlite3.Connection, session: str, began: str) -> int | None:
    """Return the last seq of the session that was learnt from, by any of its people; None: nothing was."""
    [seq] = connection.execute(
        "SELECT max(last) FROM learnt WHERE session = ? AND began = ?", (storable(session), began)
    ).fetchone()
    return None if seq is None else int(seq)


def keep_vectors(connection: sqlite3.Connection, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
    """Keep vectors of entries that are still there."""
    with transaction(connection):
        connection.executemany(
            "INSERT OR REPLACE INTO vector (entry, model, floats) SELECT id, ?, ? FROM entry WHERE id = ?",
            [(model, floats, entry) for entry, floats in vectors],
        )


def _is_done(connection: sqlite3.Connection, exchange: Exchange) -> bool:
    """Tell whether a part of the range was learnt before; every range is checked, since a dead task may be revived."""
    [found] = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM learnt"
        " WHERE session = ? AND began = ? AND person = ? AND last >= ? AND first <= ?)",
        (exchange.session, exchange.began, exchange.person, exchange.first, exchange.last),
    ).fetchone()
    return bool(found)


def _scope(connection: sqlite3.Connection, exchange: Exchange) -> int:
    given = (exchange.person, exchange.direct)
    connection.execute("INSERT OR IGNORE INTO scope (person, direct, key) VALUES (?, ?, randomblob(16))", given)
    [number] = connection.execute("SELECT id FROM scope WHERE person = ? AND direct = ?", given).fetchone()
    return int(number)


def _add_daily(connection: sqlite3.Connection, scope: int, exchange: Exchange, daily: Daily, now: datetime) -> None:
    row = (Kind.DAILY, storable(daily.text), "", daily.importance, stamp(now), stamp(daily.happened))
    _insert(connection, scope, exchange, row)


def _insert(
    connection: sqlite3.Connection, scope: int, exchange: Exchange, row: tuple[Kind, str, str, float, int, int]
) -> int:
    """Add an entry: its kind, text, slot, importance, and when it was written and happened."""
    added = connection.execute(
        "INSERT INTO entry (scope, author, session, first, last, kind, text, about, importance, created, happened)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (scope, exchange.name, exchange.session, exchange.first, exchange.last, *row),
    )
    assert added.lastrowid is not None  # noqa: S101 - an INSERT of one row has one
    index_entry(connection, added.lastrowid)
    return added.lastrowid


def _keep_facts(
    connection: sqlite3.Connection, scope: int, exchange: Exchange, facts: Sequence[Fact], now: datetime
) -> tuple[Change, ...]:
    """Decide and write fact by fact; each is compared with those before it, too."""
    # Imported with the first fact: a process that only recalls does without them.
    from memory.comparing import Known
    from memory.learning import decide, read_said

    if not facts:
        return ()
    changes = []
    said, known = read_said(exchange), _known(connection, scope)
    for fact in map(storable_fact, facts):
        step = decide(said, fact, known)
        entry = _do(connection, scope, exchange, step, now)
        changes.append(Change(step.deed, entry))
        known = [old for old in known if step.deed is Deed.KNOWN or old.id != step.entry]
        if entry is not None and step.deed is not Deed.KNOWN:
            known.append(Known(entry, step.fact.text, step.fact.about))
    return tuple(changes)


def _known(connection: sqlite3.Connection, scope: int) -> list[Known]:
    rows = connection.execute(
        "SELECT id, text, about FROM entry WHERE scope = ? AND kind = ? AND superseded_at IS NULL ORDER BY id",
        (scope, Kind.CORE),
    )
    from memory.comparing import Known

    return [Known(*row) for row in rows]


def _do(connection: sqlite3.Connection, scope: int, exchange: Exchange, step: Step, now: datetime) -> int | None:
    """Do one step, and return the entry that holds the fact now."""
    if step.deed is Deed.UNFOUNDED:
        return None
    if step.deed is Deed.KNOWN:
        entry = step.entry
    else:
        happened = max((words.at for words in exchange.said), default=now)
        row = (Kind.CORE, step.fact.text, step.fact.about, step.fact.importance, stamp(now), stamp(happened))
        entry = _insert(connection, scope, exchange, row)
        _supersede(connection, step.entry, entry, now)
    connection.executemany(
        "INSERT OR IGNORE INTO evidence (entry, session, seq, quote) SELECT ?, ?, ?, ?"
        " WHERE (SELECT count(*) FROM evidence WHERE entry = ?) < ?",
        [(entry, given.session, given.seq, given.quote, entry, MOST_EVIDENCE) for given in step.fact.evidence],
    )
    return entry


def _supersede(connection: sqlite3.Connection, old: int | None, new: int, now: datetime) -> None:
    """Mark the old entry as superseded: recall no longer finds it, but it can still be listed."""
    if old is not None:
        connection.execute("UPDATE entry SET superseded_at = ?, superseded_by = ? WHERE id = ?", (stamp(now), new, old))
        drop_words(connection, [old])
