"""This module forgets entries and erases people in SQLite so that nothing stays in the file, and checks that.

That includes free pages and the write-ahead log.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory.model import Erased, Memory, Who
from memory.store_sqlite.indexing import drop_scopes, drop_words
from memory.store_sqlite.leftovers import can_be_searched, find_texts, id_pattern
from memory.store_sqlite.schema import transaction
from memory.store_sqlite.visible import VISIBLE, Rows, memories, rows_of, scopes_of

__all__ = ["erase", "forget"]

_OURS = {"scope": "person", "entry": "author session text about", "evidence": "session quote", "learnt": "session"}
"""The tables and columns that contain people's words."""


@dataclass(frozen=True, slots=True)
class _Removed:
    """What was removed, and must not be found any more."""

    senders: frozenset[str]
    entries: int
    evidence: int
    sessions: frozenset[str]
    """The sessions of the removed entries; other people may write in them, too."""
    texts: frozenset[str]


def forget(connection: sqlite3.Connection, path: Path | None, rows: Rows, entry: int) -> bool:
    """Remove a visible entry; False if there is none. Raises sqlite3.Error and OSError.

    A page that was once full may keep a copy of what was moved to another; if the text is still found, which is rare,
    the file is rewritten (VACUUM).
    """
    with transaction(connection):
        found = connection.execute(
            f"SELECT text FROM entry WHERE id = :entry AND {VISIBLE}",  # noqa: S608 - no value is put into it
            rows.values(entry=entry),
        ).fetchone()
        if found is None:
            return False
        quotes = connection.execute("SELECT quote FROM evidence WHERE entry = ?", [entry]).fetchall()
        drop_words(connection, [entry])
        connection.execute("DELETE FROM entry WHERE id = ?", [entry])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    left = {text for held in _in_bytes(path, {found[0], *(quote for (quote,) in quotes)}).values() for text in held}
    if not all(_is_within(connection, text) for text in left):
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def erase(connection: sqlite3.Connection, path: Path | None, senders: frozenset[str]) -> Erased:
    """Remove a person, rewrite the file, and search in it for what is left. Raises sqlite3.Error and OSError."""
    rows = rows_of(Who(senders, direct=True))
    with transaction(connection):
        removed = _removed(connection, rows, senders)
        _remove_person(connection, rows)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    elsewhere = _elsewhere(connection, removed.texts | removed.sessions | senders)
    remaining = [
        *_rows_left(connection, rows),
        *_fields_left(connection, removed),
        *_bytes_left(connection, path, removed, elsewhere),
    ]
    return Erased(removed.entries, removed.evidence, tuple(remaining), len(elsewhere & removed.texts))


def _removed(connection: sqlite3.Connection, rows: Rows, senders: frozenset[str]) -> _Removed:
    """Return what the database has of a person: texts, quotes, names, slots and sessions."""
    gone = memories(connection, rows, "1 ORDER BY entry.id", {})
    quoted = [given for entry in gone for given in entry.evidence]
    marks = connection.execute(
        "SELECT session FROM learnt WHERE person IN (SELECT value FROM json_each(:senders))", rows.values()
    )
    sessions = {*(entry.session for entry in gone), *(given.session for given in quoted), *(name for (name,) in marks)}
    named = connection.execute(
        f"SELECT author FROM entry WHERE {VISIBLE} UNION SELECT about FROM entry WHERE {VISIBLE}",  # noqa: S608 - as above
        rows.values(),
    )
    return _Removed(
        senders,
        len(gone),
        len(quoted),
        frozenset(sessions),
        frozenset({*_texts(gone), *(name for (name,) in named if name)}),
    )


def _texts(gone: Sequence[Memory]) -> Iterator[str]:
    for entry in gone:
        yield entry.text
        yield from (given.quote for given in entry.evidence)


def _remove_person(connection: sqlite3.Connection, rows: Rows) -> None:
    scopes = scopes_of(connection, rows)
    within = json.dumps(list(scopes))
    drop_scopes(connection, scopes)
    connection.execute("DELETE FROM entry WHERE scope IN (SELECT value FROM json_each(?))", [within])
    for table in ("learnt", "scope"):
        connection.execute(
            f"DELETE FROM {table} WHERE person IN (SELECT value FROM json_each(:senders))",  # noqa: S608 - as above
            rows.values(),
        )


def _rows_left(connection: sqlite3.Connection, rows: Rows) -> Iterable[str]:
    for table in ("scope", "learnt"):
        [count] = connection.execute(
            f"SELECT count(*) FROM {table} WHERE person IN (SELECT value FROM json_each(:senders))",  # noqa: S608 - as above
            rows.values(),
        ).fetchone()
        if count:
            yield f"memory.db: {count} rows in {table}"
    [orphans] = connection.execute(
        "SELECT count(*) FROM words WHERE place NOT IN (SELECT place FROM placed)"
    ).fetchone()
    if orphans:
        yield f"memory.db: {orphans} rows in the index of words"


def _fields_left(connection: sqlite3.Connection, removed: _Removed) -> Iterable[str]:
    """Yield the tables that are not ours and contain a text that is too short to be searched in the bytes."""
    short = {text for text in {*removed.texts, *removed.sessions, *removed.senders} if not can_be_searched(text)}
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (table,) in tables.fetchall():
        if table in {*_OURS, "placed", "words", "vector"}:
            continue
        name = table.replace('"', '""')
        count = sum(not short.isdisjoint(row) for row in connection.execute(f'SELECT * FROM "{name}"'))  # noqa: S608 - its own name
        if count:
            yield f"memory.db: {count} rows in {table}"


def _bytes_left(
    connection: sqlite3.Connection, path: Path | None, removed: _Removed, elsewhere: frozenset[str]
) -> Iterable[str]:
    """Yield the files whose bytes, free pages included, contain texts that no other person's entries have."""
    ids = (removed.senders | removed.sessions) - elsewhere
    for name, found in _in_bytes(path, removed.texts - elsewhere, ids).items():
        left = [text for text in found if not _is_within(connection, text, text in ids)]
        if left:
            yield f"{name}: {len(left)} texts in its bytes"


def _in_bytes(path: Path | None, texts: Iterable[str], ids: Iterable[str] = ()) -> dict[str, set[str]]:
    files = [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm")] if path else []
    return find_texts(files, texts, ids)


def _elsewhere(connection: sqlite3.Connection, texts: Iterable[str]) -> frozenset[str]:
    """Return those texts that other people's rows have as a whole value."""
    wanted, found = set(texts), set[str]()
    for table, columns in _OURS.items():
        listed = ", ".join(columns.split())
        for row in connection.execute(f"SELECT {listed} FROM {table}") if wanted else ():  # noqa: S608 - as above
            found.update(wanted.intersection(row))
    return frozenset(found)


def _is_within(connection: sqlite3.Connection, text: str, is_id: bool = False) -> bool:
    """Tell whether a text is a part of another person's words; for an id, whether it occurs there as a whole."""
    mark = id_pattern(text)
    for table, columns in _OURS.items():
        for column in columns.split():
            query = f"SELECT {column} FROM {table} WHERE instr({column}, ?)"  # noqa: S608 - as above
            for (value,) in connection.execute(query, [text]):
                if not is_id or mark.search(value.encode()):
                    return True
    return False
