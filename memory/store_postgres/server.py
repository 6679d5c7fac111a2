"""This module lends connections to the PostgreSQL server, at most four, made on demand and replaced when they break.

There is no pool that reconnects by itself: a call fails while the server is down, and the next one tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from pydantic import SecretStr

from memory.errors import MemoryUnusable
from memory.store_postgres.schema import bring_up_to_date

__all__ = ["Connection", "Server", "check_url", "open_server", "reach_server"]

START_SECONDS = 30
"""How long to wait at the start for a server that does not answer yet."""
PAUSE_SECONDS = 1

CALL_SECONDS = 30
"""The timeout of one call, with waiting for a connection and for other writers of the same person."""

MOST_CONNECTIONS = 4

NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "UTF8",
}
"""A server that vanishes is noticed within half a minute (libpq's options; `tcp_user_timeout` is in milliseconds)."""

_NO_URL = (
    "storage.url: is no PostgreSQL URL: write postgresql://USER:PASSWORD@HOST/DATABASE, and signs of the password "
    "that are no letters or digits as %40 and the like"
)

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

log = structlog.get_logger()


class Server:
    """Lends connections to one server; made by `open_server`."""

    def __init__(self, url: str) -> None:
        """Prepare, without connecting."""
        self._url = url
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def connection(self, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit mode, for `seconds` at most. Raises MemoryUnusable."""
        seconds = CALL_SECONDS if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds), self._free:
                connection = await self._taken()
                try:
                    yield connection
                finally:
                    await self._give_back(connection)
        except psycopg.Error as fault:
            raise _unusable(fault) from fault
        except TimeoutError as fault:
            raise MemoryUnusable(f"storage.url: memory took longer than {seconds:.0f} s: see to the server") from fault

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection within one transaction. Raises MemoryUnusable."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _taken(self) -> Connection:
        """Return an idle connection that still works, else a new one."""
        while self._idle:
            connection, answered = self._idle.pop(), False
            try:
                await connection.execute("")
                answered = True
            except psycopg.OperationalError:
                continue
            finally:
                if not answered:
                    await connection.close()
            return connection
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True, **NETWORK)

    async def _give_back(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            await connection.close()


@asynccontextmanager
async def open_server(url: SecretStr) -> AsyncIterator[Server]:
    """Wait for the server, and bring its tables up to date. Raises MemoryTooNew and MemoryUnusable."""
    check_url(url.get_secret_value())
    server = Server(url.get_secret_value())
    try:
        await _prepare(server)
        yield server
    finally:
        await server.close()


async def reach_server(url: SecretStr, seconds: float) -> None:
    """Check that the server lets us in, and has our tables or lets us create them. Raises MemoryUnusable."""
    check_url(url.get_secret_value())
    server = Server(url.get_secret_value())
    try:
        async with server.connection(seconds) as connection:
            found = await connection.execute(
                "SELECT to_regclass('agentd_memory_scope') IS NOT NULL"
                " OR has_schema_privilege(current_schema(), 'CREATE')"
            )
            if await found.fetchone() not in ((True,), None):
                raise MemoryUnusable("storage.url: its user may not make tables: GRANT CREATE ON SCHEMA public TO it")
    finally:
        await server.close()


def check_url(url: str) -> None:
    """Raise MemoryUnusable for a URL that the driver would misread: its message would contain part of the password."""
    try:
        read = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise MemoryUnusable(_NO_URL) from None
    ports = str(read.get("port") or "").split(",")
    names = f"{read.get('host') or ''}{read.get('dbname') or ''}"
    if "@" in names or not all(port == "" or port.isdecimal() for port in ports):
        raise MemoryUnusable(_NO_URL)


async def _prepare(server: Server) -> None:
    until = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            async with server.connection() as connection:
                await bring_up_to_date(connection)
        except MemoryUnusable as fault:
            if not _may_pass(fault.__cause__) or asyncio.get_running_loop().time() > until:
                raise
            log.warning("memory_database_unreachable", fault=str(fault))
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return


def _may_pass(fault: BaseException | None) -> bool:
    """Tell whether an error may pass, as one of a server that is starting or restarting does.

    Without a connection the driver tells no SQL state, so that a refused login, too, is retried until the time is up.
    """
    state = fault.sqlstate if isinstance(fault, psycopg.OperationalError) else "refused"
    return state is None or state.startswith(("08", "57"))


def _unusable(fault: psycopg.Error) -> MemoryUnusable:
    """Return an error with the first line of the fault only: the others may contain what people wrote."""
    line = next(iter(str(fault).strip().splitlines()), type(fault).__name__)
    if isinstance(fault, psycopg.OperationalError) and fault.sqlstate is None:
        return MemoryUnusable(f"storage.url: no connection to the server ({line}): start it, or change the address")
    return MemoryUnusable(f"storage.url: the server refuses what memory asks of it ({line})")
