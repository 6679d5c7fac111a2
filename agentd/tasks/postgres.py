"""Opens the PostgreSQL database that workers share: procrastinate's connector, with its schema created and migrated
here.

One row of `agentd_task_form` names the last applied migration of procrastinate's and of ours. Several processes may
start at once: an advisory lock lets one at a time migrate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
import structlog
from procrastinate import PsycopgConnector
from procrastinate.schema import SchemaManager
from pydantic import SecretStr

from agentd.errors import ConfigError, StorageError
from agentd.tasks.faults import unusable
from memory.errors import MemoryUnusable
from memory.store_postgres.server import check_url

__all__ = ["MIGRATIONS", "migrations", "open_postgres"]

START_SECONDS = 30
"""How long a start waits for a server that does not answer."""
PAUSE_SECONDS = 1

MOST_CONNECTIONS = 4

NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""So a server that vanished is noticed within half a minute (libpq; the last one is in milliseconds)."""

_LOCK = 0x61676E71
"""The advisory lock that is held during a migration."""

MIGRATIONS: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TABLE agentd_task_failures (
        job_id bigint PRIMARY KEY REFERENCES procrastinate_jobs (id) ON DELETE CASCADE,
        failures integer NOT NULL, error text NOT NULL
    );
    """,
)
"""Our own tables; statements are added, never changed."""

log = structlog.get_logger()


@asynccontextmanager
async def open_postgres(url: SecretStr) -> AsyncIterator[PsycopgConnector]:
    """Create missing tables, and open the connections. Raises ConfigError and StorageError."""
    try:
        check_url(url.get_secret_value())
    except MemoryUnusable as fault:
        raise ConfigError(str(fault)) from None
    await _prepare(url.get_secret_value())
    connector = PsycopgConnector(
        conninfo=url.get_secret_value(),
        min_size=1,
        max_size=MOST_CONNECTIONS,
        timeout=START_SECONDS,
        kwargs=NETWORK,
        name="tasks",
    )
    try:
        await connector.open_async()
    except psycopg.Error as fault:
        raise unusable(fault) from fault
    try:
        yield connector
    finally:
        await connector.close_async()


async def _prepare(url: str) -> None:
    try:
        async with await _connect(url) as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            await _bring_up_to_date(connection)
    except psycopg.Error as fault:
        raise unusable(fault) from fault


async def _connect(url: str) -> psycopg.AsyncConnection[Any]:
    """Connect, waiting for a server that is starting or restarting."""
    until = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            return await psycopg.AsyncConnection.connect(url, **NETWORK)
        except psycopg.OperationalError as fault:
            if fault.sqlstate is not None and not fault.sqlstate.startswith(("08", "57")):
                raise ConfigError(f"storage.url: the server refuses it: {_first_line(fault)}") from fault
            if asyncio.get_running_loop().time() > until:
                raise StorageError(
                    f"storage.url: the server cannot be reached ({_first_line(fault)}): start it, or change the address"
                ) from fault
            log.warning("tasks_database_unreachable", fault=_first_line(fault))
            await asyncio.sleep(PAUSE_SECONDS)
        except psycopg.ProgrammingError:
            # From none: its text holds the URL, and with it the password.
            raise ConfigError("storage.url: is no PostgreSQL URL: write postgresql://USER@HOST/DATABASE") from None


async def _bring_up_to_date(connection: psycopg.AsyncConnection[Any]) -> None:
    """Apply the migrations, procrastinate's and ours, that the database lacks."""
    known = migrations()
    theirs, ours = await _form(connection)
    if theirs is None:
        await connection.execute(SchemaManager.get_schema())
        await connection.execute("CREATE TABLE agentd_task_form (theirs text NOT NULL, ours integer NOT NULL)")
        await connection.execute("INSERT INTO agentd_task_form VALUES ('', 0)")
    elif theirs > known[-1].name or ours > len(MIGRATIONS):
        raise ConfigError(
            "storage.url: a later version of agentd wrote this database: install that version here too, "
            "or set another database"
        )
    else:
        for migration in (each for each in known if each.name > theirs):
            await connection.execute(migration.read_text("utf-8"))
            log.info("tasks_schema_changed", migration=migration.name)
    for statement in MIGRATIONS[ours:]:
        await connection.execute(statement)
    await connection.execute("UPDATE agentd_task_form SET theirs = %s, ours = %s", [known[-1].name, len(MIGRATIONS)])


async def _form(connection: psycopg.AsyncConnection[Any]) -> tuple[str | None, int]:
    """Return the last applied migrations; None as procrastinate's if the database has none of its tables."""
    found = await connection.execute("SELECT to_regclass('procrastinate_jobs'), to_regclass('agentd_task_form')")
    jobs, form = await found.fetchone() or (None, None)
    if jobs is None and form is None:
        return None, 0
    if jobs is None or form is None:
        raise ConfigError(
            "storage.url: the database has tables of procrastinate that agentd did not make: "
            "give agentd a database of its own"
        )
    row = await (await connection.execute("SELECT theirs, ours FROM agentd_task_form")).fetchone()
    theirs, ours = row or ("", 0)
    return theirs, ours


def migrations() -> list[Path]:
    """Return procrastinate's migrations, oldest first."""
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))


def _first_line(fault: Exception) -> str:
    return next(iter(str(fault).strip().splitlines()), type(fault).__name__)
