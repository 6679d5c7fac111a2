"""The server and the few connections to it: made when they are needed, and anew where one was lost.

There is no pool that reconnects by itself: a call fails while the server is away, and the next one tries again.
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
"""How long a server that does not answer yet is waited for at the start."""
PAUSE_SECONDS = 1

CALL_SECONDS = 30
"""What one call may take, with waiting for a connection and for who writes of the same person."""

MOST_CONNECTIONS = 4

NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "client_encoding": "UTF8",
}
"""A server that is gone without a word is noticed within half a minute (libpq; `tcp_user_timeout` in milliseconds)."""

_NO_URL = (
    "storage.url: is no PostgreSQL URL: write postgresql://USER:PASSWORD@HOST/DATABASE, and signs of the password "
    "that are no letters or digits as %40 and the like"
)

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

log = structlog.get_logger()


class Server:
    """Lends connections; made by `open_server`."""

    def __init__(self, url: str) -> None:
        """Connect later."""
        self._url = url
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def connection(self, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection on which each statement is a transaction of its own. Raises MemoryUnusable."""
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
        """Lend a connection; let all that is done on it happen, or nothing. Raises MemoryUnusable."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().close()

    async def _taken(self) -> Connection:
        """Return a connection that the server still answers on."""
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
    """See that the server lets us in, and let us make tables where there are none. Raises MemoryUnusable."""
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
    """Raise MemoryUnusable for what the driver would misread: its complaint would hold a part of the password."""
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
    """Tell whether a server that is starting or restarting says such a thing.

    Where no connection comes about the driver tells no state, so that who is not let in is found out late, too.
    """
    state = fault.sqlstate if isinstance(fault, psycopg.OperationalError) else "refused"
    return state is None or state.startswith(("08", "57"))


def _unusable(fault: psycopg.Error) -> MemoryUnusable:
    """Return the fault as its first line tells it: the others may hold what people wrote."""
    line = next(iter(str(fault).strip().splitlines()), type(fault).__name__)
    if isinstance(fault, psycopg.OperationalError) and fault.sqlstate is None:
        return MemoryUnusable(f"storage.url: no connection to the server ({line}): start it, or change the address")
    return MemoryUnusable(f"storage.url: the server refuses what memory asks of it ({line})")
