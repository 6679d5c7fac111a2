"""Opens `state.db`, an SQLite database for everything the daemon keeps that is no conversation.

There are two kinds of content. Losing the first costs only speed (`settled.py`, and when the last runs began and had
recovered), or is learnt again (`token_factors.py`), or delays learning (`onset.py`). The second must be on disk when a
call returns, or it raises: who may talk (`pairings.py`), which senders are one person (`people.py`), which chats
changed their id (`aliases.py`), and who spent how many tokens (`usage.py`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from agentd.state.aliases import Aliases, ChatAliases, read_aliases
from agentd.state.database import Database, NotOurs, connect, format_moment, open_memory, renew, transaction, unusable
from agentd.state.onset import Onset
from agentd.state.pairings import Paired, Pairings, make_code, read_paired
from agentd.state.people import Groups, People, read_groups
from agentd.state.settled import SettledMarks
from agentd.state.token_factors import TokenFactors, read_factors
from agentd.state.usage import Usage, read_usage

__all__ = ["State", "open_kept", "open_pairings", "open_state"]

KEPT_RUNS = 20

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class State:
    """The open database; made by `open_state`."""

    marks: SettledMarks
    pairings: Pairings
    aliases: Aliases
    factors: TokenFactors
    usage: Usage
    people: People
    onset: Onset
    kept: Database
    fault: str | None
    """Why the second kind cannot be stored; None if it can."""

    def require(self) -> None:
        """Raise StorageError unless the second kind can be stored."""
        if self.fault is not None:
            raise unusable(self.fault)


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read at the start, and looked up in memory from then on."""

    paired: Paired = frozenset()
    aliases: ChatAliases = field(default_factory=ChatAliases)
    factors: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    usage: Mapping[tuple[str, str], int] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Opened:
    """Two connections, which are the same unless there is a fault, and what was read at the start."""

    kept: sqlite3.Connection
    """On disk, unless there is a fault."""
    marked: sqlite3.Connection
    """For the first kind; in memory if the file is unusable."""
    read: _Read
    fault: str | None

    def close(self) -> None:
        self.kept.close()
        self.marked.close()


@asynccontextmanager
async def open_state(path: Path, version: str, clock: Callable[[], datetime]) -> AsyncIterator[State]:
    """Open the database, created (0600) if missing, and record that a run of this program version begins.

    What another version marked as settled is forgotten, as that version may have judged differently. Raises ConfigError
    if a later version wrote the database. If it cannot be used, this run keeps the first kind in memory, and refuses
    the second (`State.require`).
    """
    with ThreadPoolExecutor(1, "state") as thread:
        opened = await asyncio.get_running_loop().run_in_executor(thread, _open, path, version, clock)
        try:
            yield _build_state(opened, thread, clock)
        finally:
            thread.submit(opened.close)


@asynccontextmanager
async def open_kept(path: Path, clock: Callable[[], datetime]) -> AsyncIterator[State]:
    """Open the database for a command, which is no run. Raises ConfigError, and StorageError if it is unusable."""
    with ThreadPoolExecutor(1, "state") as thread:
        try:
            opened = await asyncio.get_running_loop().run_in_executor(thread, _open_kept, path, clock)
        except (OSError, sqlite3.Error, NotOurs) as fault:
            raise unusable(str(fault)) from fault
        try:
            yield _build_state(opened, thread, clock)
        finally:
            thread.submit(opened.close)


@asynccontextmanager
async def open_pairings(path: Path, clock: Callable[[], datetime]) -> AsyncIterator[Pairings]:
    """Open only the pairings, as `open_kept` does."""
    async with open_kept(path, clock) as state:
        yield state.pairings


def _build_state(opened: _Opened, thread: Executor, clock: Callable[[], datetime]) -> State:
    kept, marked = Database(opened.kept, thread, opened.fault), Database(opened.marked, thread)
    return State(
        SettledMarks(marked, clock),
        Pairings(kept, opened.read.paired, clock, make_code),
        Aliases(kept, opened.read.aliases),
        TokenFactors(marked, opened.read.factors),
        Usage(kept, opened.read.usage),
        People(kept, opened.read.groups, clock, make_code),
        Onset(marked, clock),
        kept,
        opened.fault,
    )


def _open(path: Path, version: str, clock: Callable[[], datetime]) -> _Opened:
    try:
        kept = _connect(path, clock)
    except (OSError, sqlite3.Error, NotOurs) as fault:
        _log_unusable(path, fault)
        memory = _begun_in_memory(version, clock)
        return _Opened(memory, memory, _Read(), str(fault))
    try:
        read = _read(kept, clock)
    except sqlite3.Error as fault:
        _log_unusable(path, fault)
        return _Opened(kept, _begun_in_memory(version, clock), _Read(), str(fault))
    try:
        _begin_run(kept, version, clock())
    except sqlite3.Error as fault:
        _log_unusable(path, fault)
        return _Opened(kept, _begun_in_memory(version, clock), read, None)
    return _Opened(kept, kept, read, None)


def _open_kept(path: Path, clock: Callable[[], datetime]) -> _Opened:
    kept = connect(path)
    try:
        return _Opened(kept, kept, _read(kept, clock), None)
    except sqlite3.Error:
        kept.close()
        raise


def _read(connection: sqlite3.Connection, clock: Callable[[], datetime]) -> _Read:
    return _Read(
        read_paired(connection),
        read_aliases(connection),
        read_factors(connection),
        read_usage(connection, clock()),
        read_groups(connection),
    )


def _connect(path: Path, clock: Callable[[], datetime]) -> sqlite3.Connection:
    try:
        return connect(path)
    except NotOurs as fault:
        return renew(path, clock(), fault)


def _begun_in_memory(version: str, clock: Callable[[], datetime]) -> sqlite3.Connection:
    memory = open_memory()
    _begin_run(memory, version, clock())
    return memory


def _begin_run(connection: sqlite3.Connection, version: str, now: datetime) -> None:
    """Record the run, and forget what another version marked as settled."""
    last = connection.execute("SELECT version, began, recovered FROM run ORDER BY number DESC LIMIT 1").fetchone()
    last_version, began, recovered = last or (version, None, None)
    with transaction(connection):
        connection.execute("INSERT INTO run (version, began) VALUES (?, ?)", (version, format_moment(now)))
        connection.execute("DELETE FROM run WHERE number <= (SELECT max(number) FROM run) - ?", [KEPT_RUNS])
        if last_version != version:
            connection.execute("DELETE FROM settled")
    log.info("state_opened", last_run_began=began, last_run_recovered=recovered)


def _log_unusable(path: Path, fault: Exception) -> None:
    log.error("state_not_usable", path=str(path), fault=str(fault), advice="check its owner, mode and disk")
