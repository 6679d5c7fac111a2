"""procrastinate's database connector for an SQLite file: one thread for queries, and notifications within the process.

A query is one transaction, on disk when it returns. What PostgreSQL sends to listeners by NOTIFY is sent after the
commit, to listeners in this process; also sent is that the next job of a lock may begin.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from procrastinate.connector import BaseAsyncConnector, BaseConnector, Notify
from procrastinate.exceptions import AppNotOpen, ConnectorException, NoResult, UniqueViolation
from procrastinate.manager import get_channel_for_queues

from agentd.state.database import transaction
from agentd.tasks.sqlite_form import open_tasks_file
from agentd.tasks.sqlite_jobs import Notice, Query, Row, microseconds
from agentd.tasks.sqlite_queries import check_names, queries_by_text

__all__ = ["SqliteConnector"]

T = TypeVar("T")


class _Listener:
    """Receives notices on any thread, and passes those that concern its channels on in its own event loop."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = frozenset(channels)
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._told: list[tuple[str, str]] = []

    def hear(self, notice: Notice) -> None:
        """Take a notice if it concerns a channel; may be called on any thread."""
        channels = {*get_channel_for_queues(None), *get_channel_for_queues([notice.queue])} & self._channels
        payload = json.dumps({"type": notice.type, "job_id": notice.job_id})
        for channel in channels:
            self._loop.call_soon_threadsafe(self._take, channel, payload)

    async def tell(self, on_notification: Notify) -> None:
        """Pass on what was heard, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            told, self._told = self._told, []
            for channel, payload in told:
                await on_notification(channel=channel, payload=payload)

    def _take(self, channel: str, payload: str) -> None:
        self._told.append((channel, payload))
        self._news.set()


class SqliteConnector(BaseAsyncConnector):
    """A connector for `procrastinate.App`; it is created closed, and opened by `App.open_async`.

    Opening raises OSError, sqlite3.Error and ConfigError; later faults are ConnectorExceptions.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """Keep the jobs in this file."""
        check_names()
        self._path = path
        self._now = now
        self._queries: Mapping[str, Query] = queries_by_text()
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._listeners: list[_Listener] = []

    def get_sync_connector(self) -> BaseConnector:
        """Return this connector: its queries run on their own thread, whoever waits for them."""
        return self

    async def open_async(self, pool: object = None) -> None:
        """Open the file; a pool is refused, since only servers have one."""
        if pool is not None:
            raise ConnectorException("an SQLite file has no pool of connections")
        if self._thread is not None:
            return
        thread = ThreadPoolExecutor(1, "tasks")
        try:
            self._connection = await asyncio.get_running_loop().run_in_executor(
                thread, open_tasks_file, self._path, self._now
            )
            self._thread = thread
        finally:
            if self._thread is None:
                thread.shutdown(wait=False)

    async def close_async(self) -> None:
        """Close the file once the running query is done."""
        thread, connection, self._thread, self._connection = self._thread, self._connection, None, None
        if thread is not None and connection is not None:
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)
            thread.shutdown(wait=False)

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        """Run a query."""
        await self._run(query, arguments)

    async def execute_query_one_async(self, query: str, **arguments: Any) -> Row:
        """Run a query and return its first row. Raises NoResult if it has none."""
        rows = await self._run(query, arguments)
        if not rows:
            raise NoResult
        return rows[0]

    async def execute_query_all_async(self, query: str, **arguments: Any) -> list[Row]:
        """Run a query and return its rows."""
        return await self._run(query, arguments)

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Send a notification for each commit that concerns a channel, until cancelled."""
        listener = _Listener(channels)
        self._listeners.append(listener)
        try:
            await listener.tell(on_notification)
        finally:
            self._listeners.remove(listener)

    async def scrub(self) -> None:
        """Remove deleted data from the write-ahead log too. Raises ConnectorException."""

        def checkpoint(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        await self._on_thread(checkpoint)

    async def _run(self, query: str, arguments: Mapping[str, Any]) -> list[Row]:
        asked = self._queries.get(query)
        if asked is None:
            raise ConnectorException("this is none of the queries that are known by name")

        def work(connection: sqlite3.Connection) -> list[Row]:
            with transaction(connection):
                outcome = asked(connection, {**arguments, "now": microseconds(self._now())})
            for notice in outcome.notices:
                for listener in tuple(self._listeners):
                    listener.hear(notice)
            return outcome.rows

        return await self._on_thread(work)

    def _on_thread(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        thread, connection = self._thread, self._connection
        if thread is None or connection is None:
            raise AppNotOpen

        def translated() -> T:
            with _faults():
                return work(connection)

        return asyncio.get_running_loop().run_in_executor(thread, translated)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as fault:
        raise UniqueViolation(constraint_name=str(fault), queueing_lock=None) from fault
    except sqlite3.Error as fault:
        raise ConnectorException(f"tasks.db: {fault}") from fault
