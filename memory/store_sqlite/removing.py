"""Removes entries so that nothing of them is left in the file, and looks whether that is so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from memory.model import Erased, Memory, Who
from memory.store_sqlite.indexing import drop_words, index_entry, neighbours_of, purge_words
from memory.store_sqlite.schema import transaction
from memory.store_sqlite.visible import VISIBLE, Rows, memories, rows_of

__all__ = ["erase", "forget"]

SEARCHED_TEXTS = 100
"""So many of the removed texts are searched for in the file's bytes afterwards."""

_SHORTEST_SEARCHED = 12
"""Shorter texts may stand there by chance."""


def forget(connection: sqlite3.Connection, rows: Rows, entry: int) -> bool:
    """Remove an entry that is seen, and its words from its neighbours' index. Raises sqlite3.Error."""
    with transaction(connection):
        found = connection.execute(
            f"SELECT id FROM entry WHERE id = :entry AND {VISIBLE}",  # noqa: S608 - no value is put into it
            rows.values(entry=entry),
        ).fetchone()
        if found is None:
            return False
        _remove(connection, [entry])
        purge_words(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def erase(connection: sqlite3.Connection, path: Path | None, senders: frozenset[str]) -> Erased:
    """Remove a person, rewrite the file, and search in it for what is left. Raises sqlite3.Error and OSError."""
    rows = rows_of(Who(senders, direct=True))
    with transaction(connection):
        gone = memories(connection, rows, "1 ORDER BY entry.id", {})
        _remove(connection, [entry.id for entry in gone])
        _remove_person(connection, rows)
        purge_words(connection)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    remaining = [*_rows_left(connection, rows), *_bytes_left(connection, path, _texts(senders, gone))]
    return Erased(len(gone), sum(len(entry.evidence) for entry in gone), tuple(remaining))


def _texts(senders: Iterable[str], gone: Iterable[Memory]) -> list[str]:
    """Return what is searched for afterwards: the person's ids, and what was remembered with its quotes."""
    quotes = [(entry.text, *(given.quote for given in entry.evidence)) for entry in gone]
    return [*sorted(senders), *(text for texts in quotes for text in texts)]


def _remove(connection: sqlite3.Connection, entries: Sequence[int]) -> None:
    """Remove entries with all that hangs on them; neighbours that stay are indexed anew, without them."""
    gone = set(entries)
    touched = {near for entry in entries for near in neighbours_of(connection, entry)} - gone
    drop_words(connection, entries)
    connection.execute("DELETE FROM entry WHERE id IN (SELECT value FROM json_each(?))", [json.dumps(list(entries))])
    for entry in sorted(touched):
        index_entry(connection, entry)


def _remove_person(connection: sqlite3.Connection, rows: Rows) -> None:
    persons = "person IN (SELECT value FROM json_each(:senders))"
    connection.execute(f"DELETE FROM learnt WHERE {persons}", rows.values())  # noqa: S608 - as above
    connection.execute(f"DELETE FROM scope WHERE {persons}", rows.values())  # noqa: S608 - as above


def _rows_left(connection: sqlite3.Connection, rows: Rows) -> Iterable[str]:
    for table in ("scope", "learnt"):
        [count] = connection.execute(
            f"SELECT count(*) FROM {table} WHERE person IN (SELECT value FROM json_each(:senders))",  # noqa: S608
            rows.values(),
        ).fetchone()
        if count:
            yield f"memory.db: {count} rows in {table}"
    [orphans] = connection.execute("SELECT count(*) FROM words WHERE rowid NOT IN (SELECT id FROM entry)").fetchone()
    if orphans:
        yield f"memory.db: {orphans} rows in the index of words"


def _bytes_left(connection: sqlite3.Connection, path: Path | None, texts: Sequence[str]) -> Iterable[str]:
    """Search the files' bytes, free pages included; what other people's entries hold word for word is theirs."""
    searched = [text for text in texts if len(text) >= _SHORTEST_SEARCHED][:SEARCHED_TEXTS]
    searched = [text for text in searched if not _is_elsewhere(connection, text)]
    for file in (path, path.with_name(f"{path.name}-wal")) if path else ():
        content = file.read_bytes() if file.exists() else b""
        found = sum(text.encode() in content for text in searched)
        if found:
            yield f"{file.name}: {found} texts in its bytes"


def _is_elsewhere(connection: sqlite3.Connection, text: str) -> bool:
    query = "SELECT EXISTS (SELECT 1 FROM entry WHERE instr(text, :text) OR instr(session, :text))"
    [found] = connection.execute(query, {"text": text}).fetchone()
    return bool(found)
