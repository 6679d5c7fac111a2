"""Opens our SQLite databases, checks and migrates them, and runs queries on a thread of their own.

A damaged file, or one of another program, is set aside and a new one begun; one of a later version is left alone.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from agentd.errors import ConfigError, StorageError

__all__ = [
    "APPLICATION_ID",
    "MIGRATIONS",
    "STATE",
    "Database",
    "Form",
    "NotOurs",
    "connect",
    "format_moment",
    "open_memory",
    "renew",
    "scrub",
    "storable",
    "transaction",
    "unusable",
]

APPLICATION_ID = 0x61676E74
"""Marks a database as ours: `agnt`."""

MIGRATIONS = (
    """
    CREATE TABLE run (number INTEGER PRIMARY KEY, version TEXT NOT NULL, began TEXT NOT NULL, recovered TEXT);
    CREATE TABLE settled (file BLOB PRIMARY KEY, size INTEGER NOT NULL, ctime_ns INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE pairing (
        channel TEXT NOT NULL, sender TEXT NOT NULL, name TEXT NOT NULL,
        account TEXT NOT NULL, chat TEXT NOT NULL, thread TEXT,
        code TEXT NOT NULL UNIQUE, created TEXT NOT NULL, expires TEXT NOT NULL, shown INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (channel, sender)
    ) WITHOUT ROWID;
    CREATE TABLE paired (
        channel TEXT NOT NULL, sender TEXT NOT NULL, name TEXT NOT NULL, since TEXT NOT NULL,
        PRIMARY KEY (channel, sender)
    ) WITHOUT ROWID;
    CREATE TABLE failed_approval (number INTEGER PRIMARY KEY, at TEXT NOT NULL);
    CREATE TABLE alias (
        channel TEXT NOT NULL, account TEXT NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL,
        PRIMARY KEY (channel, account, old), UNIQUE (channel, account, new)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE token_factors (
        model TEXT PRIMARY KEY, factor REAL NOT NULL, reports INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE usage (
        day TEXT NOT NULL, person TEXT NOT NULL, tokens INTEGER NOT NULL,
        PRIMARY KEY (day, person)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE link (sender TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE link_code (
        code TEXT PRIMARY KEY, sender TEXT NOT NULL, account TEXT, chat TEXT, thread TEXT,
        expires TEXT NOT NULL, used_by TEXT
    ) WITHOUT ROWID;
    CREATE TABLE failed_link (number INTEGER PRIMARY KEY, sender TEXT NOT NULL, at TEXT NOT NULL);
    """,
    """
    CREATE TABLE remembering (since TEXT NOT NULL);
    """,
)
"""Each takes a database to the next `user_version`; they are added to, never changed."""


@dataclass(frozen=True, slots=True)
class Form:
    """The name and schema of one of our databases."""

    name: str
    """The file's name, as shown to people."""
    application_id: int
    migrations: tuple[str, ...]
    """Each takes a database to the next `user_version`; they are added to, never changed."""
    damaged: str
    """The log event that says that a file was set aside."""


STATE = Form("state.db", APPLICATION_ID, MIGRATIONS, "state_set_aside")

BUSY_SECONDS = 2
"""How long to wait for another process that has the database open, such as a backup."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_MAGIC = b"SQLite format 3\0"

_PARTS = ("", "-wal", "-shm")

log = structlog.get_logger()

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]


class NotOurs(Exception):
    """The file is damaged, or no database of ours."""


class Database:
    """An open database, and the thread that its connection belongs to."""

    def __init__(self, connection: sqlite3.Connection, thread: Executor, fault: str | None = None) -> None:
        """Run queries on that thread; `fault` says why the database is unusable, if it is."""
        self._connection = connection
        self._thread = thread
        self.fault = fault

    async def run(self, work: Work[T]) -> T:
        """Run a query whose loss costs only time. Raises sqlite3.Error."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)

    async def run_durably(self, work: Work[T]) -> T:
        """Run a query whose effect must be on disk. Raises StorageError if it is not, or the database cannot be
        read.
        """
        if self.fault is not None:
            raise unusable(self.fault)
        try:
            return await self.run(work)
        except (sqlite3.Error, UnicodeEncodeError) as fault:  # an id may hold a lone surrogate
            raise unusable(str(fault)) from fault


def unusable(fault: str) -> StorageError:
    """Return the error to raise if `state.db` cannot be used."""
    return StorageError(f"state.db cannot be used ({fault}): check its owner, mode and disk")


def connect(path: Path, form: Form = STATE) -> sqlite3.Connection:
    """Open a database file, created (0600) if missing.

    Raises OSError, sqlite3.Error, ConfigError if a later version wrote it, and NotOurs.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise NotOurs("not a plain file")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)
        magic = os.pread(fd, len(_MAGIC), 0)
    finally:
        os.close(fd)
    if magic not in (b"", _MAGIC):
        # SQLite would refuse it too, but would remove the journal beside it.
        raise NotOurs("no database")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        return _prepare(connection, form)
    except sqlite3.Error as fault:
        connection.close()
        if fault.sqlite_errorcode & 0xFF in _DAMAGE:
            raise NotOurs(str(fault)) from fault
        raise
    except (ConfigError, NotOurs):
        connection.close()
        raise


def open_memory() -> sqlite3.Connection:
    """Open an empty database in memory."""
    return _prepare(sqlite3.connect(":memory:", isolation_level=None), STATE)


def renew(path: Path, now: datetime, fault: NotOurs, form: Form = STATE) -> sqlite3.Connection:
    """Set the present file and its parts aside, and begin a new one. Raises what `connect` raises."""
    aside = _set_aside(path, now)
    log.error(form.damaged, to=aside.name, fault=str(fault))
    return connect(path, form)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()


def format_moment(moment: datetime) -> str:
    """Return the time in the database's form; such texts sort as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def scrub(connection: sqlite3.Connection) -> None:
    """Remove deleted data from the file and from the write-ahead log. Raises sqlite3.Error."""
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("somebody else reads the database: its journal could not be emptied")


def storable(name: str) -> str:
    """Return a name that SQLite can store: one from outside may hold lone surrogates, which are escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _prepare(connection: sqlite3.Connection, form: Form) -> sqlite3.Connection:
    """Check that the database is ours and undamaged, and migrate it."""
    version, application = _number(connection, "user_version"), _number(connection, "application_id")
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != form.application_id and (application or version or tables):
        raise NotOurs("the database of another program")
    if version > len(form.migrations):
        raise ConfigError(
            f"{form.name} was written by a later version of agentd (form {version}, this one knows "
            f"{len(form.migrations)}): install that version again, or move {form.name} away and lose what it keeps"
        )
    [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise NotOurs(found)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for number in range(version, len(form.migrations)):
        with transaction(connection):
            for statement in filter(str.strip, form.migrations[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {form.application_id}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
    return connection


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    [value] = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)


def _set_aside(path: Path, now: datetime) -> Path:
    """Rename the database and its parts; their content stays."""
    aside = path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}")
    number = 2
    while any(os.path.lexists(f"{aside}{part}") for part in _PARTS):
        aside = path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}-{number}")
        number += 1
    for part in _PARTS:
        with suppress(FileNotFoundError):
            os.rename(f"{path}{part}", f"{aside}{part}")
    return aside
