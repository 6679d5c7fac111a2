"""`state.db`: what the daemon keeps that is no conversation, in SQLite, on a thread of its own.

So far that is what later runs may leave unread: for each session file its length and its time of change when nothing
in it was left to do; and when the last runs began, and had recovered. All of that can be done without, so a fault here
is logged and costs only speed. A database that is damaged, or not ours, is set aside and a new one begun; one of a
later version is left alone, and the daemon does not start.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog

from agentd.errors import ConfigError

__all__ = ["State", "open_state"]

APPLICATION_ID = 0x61676E74
"""Says that a database is ours: `agnt`."""

MIGRATIONS = (
    """
    CREATE TABLE run (number INTEGER PRIMARY KEY, version TEXT NOT NULL, began TEXT NOT NULL, recovered TEXT);
    CREATE TABLE settled (file BLOB PRIMARY KEY, size INTEGER NOT NULL, ctime_ns INTEGER NOT NULL) WITHOUT ROWID;
    """,
)
"""Each takes a database to the next `user_version`; they are added to, never changed."""

KEPT_RUNS = 20

BUSY_SECONDS = 2
"""How long somebody else who has the database open, such as a backup, is waited for."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_MAGIC = b"SQLite format 3\0"

_PARTS = ("", "-wal", "-shm")

log = structlog.get_logger()

T = TypeVar("T")

Settled = Mapping[str, tuple[int, int]]
"""For each session file's name its length, and when it was last changed (nanoseconds, by the system's clock)."""


class _NotOurs(Exception):
    """What stands in the database's place is none of ours, or damaged."""


class State:
    """The open database; made by `open_state`."""

    def __init__(self, connection: sqlite3.Connection, thread: Executor, clock: Callable[[], datetime]) -> None:
        """Work on this one thread, on which the connection was made."""
        self._connection = connection
        self._thread = thread
        self._clock = clock

    async def settled(self) -> Settled:
        """Return the session files that had nothing left to do; none where that cannot be read."""
        return await self._run(self._settled_now, {})

    async def keep(self, settled: Settled, gone: Collection[str]) -> None:
        """Keep what a recovery that is done found settled, forget files that are gone, and note the time."""
        await self._run(lambda: self._keep_now(settled, gone), None)

    async def _run(self, work: Callable[[], T], otherwise: T) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as fault:
            log.error("state_not_usable", fault=str(fault))
            return otherwise

    def _settled_now(self) -> Settled:
        rows = self._connection.execute("SELECT file, size, ctime_ns FROM settled")
        return {os.fsdecode(file): (size, ctime_ns) for file, size, ctime_ns in rows}

    def _keep_now(self, settled: Settled, gone: Collection[str]) -> None:
        added = [(os.fsencode(file), size, ctime_ns) for file, (size, ctime_ns) in settled.items()]
        with _transaction(self._connection):
            self._connection.executemany("DELETE FROM settled WHERE file = ?", [(os.fsencode(file),) for file in gone])
            self._connection.executemany("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", added)
            self._connection.execute(
                "UPDATE run SET recovered = ? WHERE number = (SELECT max(number) FROM run)", [_format(self._clock())]
            )


@asynccontextmanager
async def open_state(path: Path, version: str, clock: Callable[[], datetime]) -> AsyncIterator[State]:
    """Open the database, made (0600) if missing, and record that a run of this version of the program begins.

    What another version found settled is forgotten: it may have had other eyes. Raises ConfigError where a later
    version wrote the database. Where it cannot be used, this run keeps what it has to keep in memory.
    """
    with ThreadPoolExecutor(1, "state") as thread:
        loop = asyncio.get_running_loop()
        connection = await loop.run_in_executor(thread, _open, path, version, clock)
        try:
            yield State(connection, thread, clock)
        finally:
            thread.submit(connection.close)


def _open(path: Path, version: str, clock: Callable[[], datetime]) -> sqlite3.Connection:
    try:
        try:
            connection = _connect(path)
        except _NotOurs as fault:
            aside = _set_aside(path, clock())
            log.error("state_set_aside", to=aside.name, fault=str(fault))
            connection = _connect(path)
        return _begin_run(connection, version, clock())
    except (OSError, sqlite3.Error, _NotOurs) as fault:
        log.error("state_not_usable", path=str(path), fault=str(fault), advice="check its owner, mode and disk")
        return _begin_run(_prepare(sqlite3.connect(":memory:", isolation_level=None)), version, clock())


def _connect(path: Path) -> sqlite3.Connection:
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise _NotOurs("not a plain file")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)
        magic = os.pread(fd, len(_MAGIC), 0)
    finally:
        os.close(fd)
    if magic not in (b"", _MAGIC):
        # SQLite would say so too, but remove the journal beside it.
        raise _NotOurs("no database")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        return _prepare(connection)
    except sqlite3.Error as fault:
        connection.close()
        if fault.sqlite_errorcode & 0xFF in _DAMAGE:
            raise _NotOurs(str(fault)) from fault
        raise
    except (ConfigError, _NotOurs):
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Look at whose database this is, and whether it is sound; bring it to this version's form."""
    version, application = _number(connection, "user_version"), _number(connection, "application_id")
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise _NotOurs("the database of another program")
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"state.db was written by a later version of agentd (form {version}, this one knows {len(MIGRATIONS)}): "
            "install that version again, or move state.db away and lose what it keeps"
        )
    [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _NotOurs(found)
    connection.execute("PRAGMA journal_mode = WAL")
    for number in range(version, len(MIGRATIONS)):
        with _transaction(connection):
            for statement in filter(str.strip, MIGRATIONS[number].split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
    return connection


def _begin_run(connection: sqlite3.Connection, version: str, now: datetime) -> sqlite3.Connection:
    """Record the run, and forget what another version found; close the database where that fails."""
    try:
        _record_run(connection, version, now)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _record_run(connection: sqlite3.Connection, version: str, now: datetime) -> None:
    last = connection.execute("SELECT version, began, recovered FROM run ORDER BY number DESC LIMIT 1").fetchone()
    last_version, began, recovered = last or (version, None, None)
    log.info("state_opened", last_run_began=began, last_run_recovered=recovered)
    with _transaction(connection):
        connection.execute("INSERT INTO run (version, began) VALUES (?, ?)", (version, _format(now)))
        connection.execute("DELETE FROM run WHERE number <= (SELECT max(number) FROM run) - ?", [KEPT_RUNS])
        if last_version != version:
            connection.execute("DELETE FROM settled")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    [value] = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.rollback()
        raise


def _set_aside(path: Path, now: datetime) -> Path:
    """Give the database and its parts another name; what is in them stays."""
    aside = path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}")
    number = 2
    while any(os.path.lexists(f"{aside}{part}") for part in _PARTS):
        aside = path.with_name(f"{path.name}.aside-{now:%Y%m%dT%H%M%SZ}-{number}")
        number += 1
    for part in _PARTS:
        with suppress(FileNotFoundError):
            os.rename(f"{path}{part}", f"{aside}{part}")
    return aside


def _format(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
