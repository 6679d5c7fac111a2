"""This module opens `memory.db`, and creates and migrates its tables.

`scope` is a person's id and whether something was learnt in private: who may see an entry follows from its scope alone.
`words` is the index, with a number for each word of each scope, so that a query reads only its person's part of it.
`placed` has each entry's place in the index, and the numbers of its words.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory.errors import MemoryTooNew, MemoryUnusable
from memory.store_sqlite.indexing import index_missing

__all__ = ["APPLICATION_ID", "MIGRATIONS", "connect", "transaction"]

APPLICATION_ID = 0x61676D65
"""The SQLite application id that marks a database as ours ("agme")."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE scope (
        id INTEGER PRIMARY KEY, person TEXT NOT NULL, direct INTEGER NOT NULL, UNIQUE (person, direct)
    );
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL REFERENCES scope (id),
        kind TEXT NOT NULL, author TEXT NOT NULL, session TEXT NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL,
        text TEXT NOT NULL, about TEXT NOT NULL, importance REAL NOT NULL,
        created INTEGER NOT NULL, happened INTEGER NOT NULL,
        superseded_at INTEGER, superseded_by INTEGER REFERENCES entry (id) ON DELETE SET NULL
    );
    CREATE INDEX entry_scope ON entry (scope, id);
    CREATE INDEX entry_kind ON entry (scope, kind, id);
    CREATE INDEX entry_session ON entry (session, scope, kind, id);
    CREATE INDEX entry_superseded_by ON entry (superseded_by) WHERE superseded_by IS NOT NULL;
    CREATE TABLE evidence (
        entry INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
        session TEXT NOT NULL, seq INTEGER NOT NULL, quote TEXT NOT NULL,
        PRIMARY KEY (entry, session, seq)
    ) WITHOUT ROWID;
    CREATE TABLE watermark (
        session TEXT NOT NULL, person TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (session, person)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5(
        scope, body, asked, around, tokenize = "unicode61 remove_diacritics 0"
    );
    """,
    """
    CREATE TABLE vector (
        entry INTEGER PRIMARY KEY REFERENCES entry (id) ON DELETE CASCADE, model TEXT NOT NULL, floats BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE learnt (
        session TEXT NOT NULL, began TEXT NOT NULL, person TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        PRIMARY KEY (session, began, person, last)
    ) WITHOUT ROWID;
    CREATE INDEX learnt_person ON learnt (person);
    INSERT INTO learnt SELECT session, '', person, 0, seq FROM watermark;
    DROP TABLE watermark;
    """,
    """
    DROP TABLE words;
    ALTER TABLE scope ADD COLUMN key BLOB NOT NULL DEFAULT x'';
    ALTER TABLE scope ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE scope ADD COLUMN words INTEGER NOT NULL DEFAULT 0;
    UPDATE scope SET key = randomblob(16);
    CREATE TABLE placed (
        entry INTEGER PRIMARY KEY REFERENCES entry (id) ON DELETE CASCADE, scope INTEGER NOT NULL,
        place INTEGER NOT NULL UNIQUE, told INTEGER NOT NULL, total INTEGER NOT NULL, numbers BLOB NOT NULL
    );
    CREATE INDEX placed_scope ON placed (scope, place);
    CREATE TABLE words (
        term INTEGER NOT NULL, place INTEGER NOT NULL, told INTEGER NOT NULL, PRIMARY KEY (term, place)
    ) WITHOUT ROWID;
    """,
)
"""Each migration brings a database to the next `user_version`; new ones are added, none is ever changed."""

BUSY_SECONDS = 2
"""How long to wait while another program locks the database, such as a backup."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a database file, created (0600) if missing; without a path, a database in memory.

    Raises MemoryTooNew if a later version wrote it, and MemoryUnusable if it is not ours or cannot be used: the file is
    left as it is, since an empty one in its place would forget everything.
    """
    try:
        if path is not None:
            _claim(path)
        connection = sqlite3.connect(path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as fault:
        raise _unusable(fault) from fault
    try:
        _prepare(connection)
    except sqlite3.Error as fault:
        connection.close()
        raise _unusable(fault) from fault
    except (MemoryTooNew, MemoryUnusable):
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()


def _claim(path: Path) -> None:
    """Create the file if it is missing, and set its mode to 0600; a symbolic link is not followed."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError("not a plain file")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def _prepare(connection: sqlite3.Connection) -> None:
    """Check that the database is ours, and migrate it to this version's form."""
    version, application = _number(connection, "user_version"), _number(connection, "application_id")
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise MemoryUnusable("memory.db is the database of another program: move it away")
    if version > len(MIGRATIONS):
        raise MemoryTooNew(
            f"memory.db was written by a later version of agentd (form {version}, this one knows {len(MIGRATIONS)}): "
            "install that version again, or move memory.db away and lose what it keeps"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    for number in range(version, len(MIGRATIONS)):
        with transaction(connection):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                connection.execute(statement)
            if number + 1 == len(MIGRATIONS):
                index_missing(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number + 1}")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    [value] = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)


def _unusable(fault: Exception) -> MemoryUnusable:
    return MemoryUnusable(f"memory.db cannot be used ({fault}): check its owner, mode and disk")
