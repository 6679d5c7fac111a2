"""The single writer of all session files: batches appends, and flushes them (fsync) before they count as done.

An append is encoded, numbered, written and flushed as one job that no cancellation can interrupt; the session's view
gets its records at that moment, whether or not the caller still waits. Appends that wait while a job runs make up the
next one, so that many sessions share the disk's flushes. Appends to one file keep their order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from agentd.errors import StorageError
from agentd.transcript.clock import Clock, format_time
from agentd.transcript.coverage import Cover
from agentd.transcript.disk import Write
from agentd.transcript.faults import FileChanged, fault_sentence
from agentd.transcript.key import SessionKey
from agentd.transcript.reading import Loaded, Older
from agentd.transcript.records import FORMAT_VERSION, Command, Record, SessionHeader, Undo, UserMessage, encode_line
from agentd.transcript.view import Transcript

__all__ = ["BATCH_APPENDS", "WAITING_APPENDS", "Care", "Observe", "Session", "Writer"]

WAITING_APPENDS = 1_024
"""Appends that may wait for the writer; further ones wait for room."""

BATCH_APPENDS = 256
"""Most appends in one job."""

Observe = Callable[[float], None]
"""Called with the seconds that an append took until it was durable."""

log = structlog.get_logger()


@dataclass(slots=True, weakref_slot=True)
class Session:
    """An open session: its file, and what the file's records mean. Only the writer changes it."""

    key: SessionKey
    path: Path
    view: Transcript
    length: int = 0
    torn: bool = False
    """Whether the last line lacks its newline: the next append writes that first."""
    cut_first: bool = False
    """Whether a failed write may have left bytes after `length`."""
    is_unread: bool = False
    """Whether the file was changed by somebody else and not read since: nothing is appended before it is."""
    cover: Cover | None = None
    """The digest of what summaries cover, as far as it was computed."""
    older: Older | None = None
    """The part of the file that was not loaded; its ids may still be needed."""
    set_aside: Path | None = None
    """Where the history is that a fresh file could not take over; whoever tells the person clears it."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at each commit, even if the caller of `append` is gone; whoever waits on it clears it."""

    def take(self, loaded: Loaded) -> None:
        """Replace the state by what was loaded."""
        self.view, self.older, self.cover = loaded.view, loaded.older, None
        self.length, self.torn = loaded.length, not loaded.ends_in_newline
        self.is_unread = False


@dataclass(frozen=True, slots=True)
class _Append:
    session: Session
    records: tuple[Record, ...]
    done: asyncio.Future[list[Record]]


@dataclass(frozen=True, slots=True)
class _Alone:
    """Work on files that must not overlap with any commit."""

    work: Callable[[], Awaitable[None]]
    done: asyncio.Future[None]


class Care(Protocol):
    """What the writer needs done about a session's file, beyond writing to it."""

    async def reread(self, session: Session) -> None:
        """Reload a session whose file holds something other than its view."""
        ...

    async def mend(self, session: Session, fault: OSError, *, begins: bool) -> bool:
        """Do what can be done about a fault; return whether the append can be tried once more.

        `begins` says that it names no earlier record.
        """
        ...

    def written(self, session: Session) -> None:
        """Note that an append succeeded."""
        ...


class Writer:
    """Takes appends from all sessions, and commits them in batches."""

    def __init__(
        self,
        commit: Callable[[list[Write]], Awaitable[list[OSError | None]]],
        care: Care,
        clock: Clock,
        observe: Observe,
    ) -> None:
        """Write with `commit`, one call at a time."""
        self._commit = commit
        self._care = care
        self._clock = clock
        self._observe = observe
        self._room = asyncio.Semaphore(WAITING_APPENDS)
        self._queue: asyncio.Queue[_Append | _Alone | None] = asyncio.Queue(WAITING_APPENDS + 1)
        self._closed = False
        self._busy_since: float | None = None

    @property
    def busy_seconds(self) -> float:
        """Return how long the present commit has been running; 0 if there is none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    async def append(self, session: Session, *records: Record) -> list[Record]:
        """Put records on disk; see `SessionStore.append`."""
        return await asyncio.shield(await self.enqueue(session, *records))

    async def enqueue(self, session: Session, *records: Record) -> asyncio.Future[list[Record]]:
        """Begin an append, waiting only for room; see `SessionStore.enqueue`."""
        asked = time.monotonic()
        await self._enter()
        done: asyncio.Future[list[Record]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(partial(self._measure, asked))
        done.add_done_callback(self._leave)
        self._queue.put_nowait(_Append(session, records, done))
        return done

    async def between(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run work, which must not raise, between the commits of earlier and later appends."""
        await self._enter()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(self._leave)
        self._queue.put_nowait(_Alone(work, done))
        await asyncio.shield(done)

    async def run(self) -> None:
        """Commit waiting appends, batch after batch, until `close`."""
        batch: list[_Append | _Alone] = []
        try:
            while batch := await self._next_batch():
                self._busy_since = time.monotonic()
                appends = [item for item in batch if isinstance(item, _Append)]
                if appends:
                    await self._commit_batch(appends)
                if isinstance(batch[-1], _Alone):
                    await batch[-1].work()
                    batch[-1].done.set_result(None)
                self._busy_since = None
        finally:
            self._give_up(batch)

    async def close(self) -> None:
        """Return when everything that `append` was called for is committed; later appends are refused."""
        # Room is granted in the order of requests: whoever has all of it comes after everybody.
        for _ in range(WAITING_APPENDS):
            await self._room.acquire()
        self._closed = True
        self._room.release()
        self._queue.put_nowait(None)

    async def _enter(self) -> None:
        """Wait for room. Raises StorageError if the writer is closed."""
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise StorageError("the sessions are closed: nothing is written any more")

    async def _next_batch(self) -> list[_Append | _Alone]:
        """Wait for an append, and return everything that waits by then; an empty list at the end.

        Work that must run alone is the last of its batch.
        """
        batch = [await self._queue.get()]
        while len(batch) < BATCH_APPENDS and not self._queue.empty() and not isinstance(batch[-1], _Alone):
            batch.append(self._queue.get_nowait())
        return [item for item in batch if item is not None]

    def _measure(self, asked: float, done: asyncio.Future[list[Record]]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._observe(time.monotonic() - asked)

    def _leave(self, done: asyncio.Future[list[Record]] | asyncio.Future[None]) -> None:
        self._room.release()
        if not done.cancelled():
            done.exception()  # retrieved, even if the caller is gone

    def _give_up(self, batch: list[_Append | _Alone]) -> None:
        """Cancel what still waits when the writer is cut: whether those appends are on disk is unknown."""
        self._closed = True
        left = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        for append in (*batch, *left):
            if append is not None:
                append.done.cancel()

    async def _commit_batch(self, batch: list[_Append]) -> None:
        by_path: dict[Path, list[_Append]] = {}
        for append in batch:
            by_path.setdefault(append.session.path, []).append(append)
        now = format_time(self._clock())
        jobs = [job for job in (_Job(appends, now) for appends in by_path.values()) if job.appends]
        unread = [job for job in jobs if job.session.is_unread]
        known = [job for job in jobs if not job.session.is_unread]
        faults = await self._commit([job.write for job in known])
        ended = list(zip(known, faults, strict=True))
        # Successful ones first: dealing with a fault may take a while.
        for job, fault in sorted(ended, key=lambda pair: pair[1] is not None):
            await self._end(job, fault)
        for job in unread:
            await self._refuse(job)

    async def _end(self, job: _Job, fault: OSError | None) -> None:
        if fault is not None and await self._care.mend(job.session, fault, begins=job.begins):
            job = _Job([append for append, _ in job.appends], job.ts)
            [fault] = await self._commit([job.write])
        if fault is not None:
            await self._fail(job, fault)
            return
        job.take_in()
        self._care.written(job.session)
        if job.revokes:
            # What the compaction covered is in force again, and may be in the part of the file that was not loaded.
            await self._care.reread(job.session)
        job.succeed()

    async def _refuse(self, job: _Job) -> None:
        """Read the file first: the refused append may name records that the file does not have."""
        await self._care.reread(job.session)
        outcome = "cannot be read; check the disk" if job.session.is_unread else "was read again just now"
        job.fail(StorageError(f"the session's file was changed, and {outcome}"))

    async def _fail(self, job: _Job, fault: OSError) -> None:
        session = job.session
        log.error("append_failed", session=session.path.stem, fault=str(fault))
        session.cut_first = not isinstance(fault, FileChanged)
        if isinstance(fault, FileChanged):
            await self._care.reread(session)
        job.fail(StorageError(fault_sentence(fault)))


class _Job:
    """The appends to one file in one batch, encoded as the bytes to write."""

    def __init__(self, appends: list[_Append], ts: str) -> None:
        self.session = appends[0].session
        self.ts = ts
        self.appends: list[tuple[_Append, list[Record]]] = []
        self._seq = self.session.view.next_seq
        lines = [b"\n"] if self.session.torn else []
        self._unasked: list[Record] = []
        if self._seq == 0:
            header = SessionHeader(version=FORMAT_VERSION, key=self.session.key)
            self._unasked = self._number((header,), ts)
            lines += map(encode_line, self._unasked)
        for append in appends:
            numbered = self._number(append.records, ts)
            try:
                lines += [encode_line(record) for record in numbered]
            except UnicodeEncodeError as fault:
                self._seq -= len(numbered)
                append.done.set_exception(StorageError(f"text that is no Unicode cannot be written: {fault.reason}"))
            else:
                self.appends.append((append, numbered))
        session = self.session
        self.write = Write(session.path, session.length, b"".join(lines), session.cut_first)

    @property
    def revokes(self) -> bool:
        return any(isinstance(record, Undo) for _, records in self.appends for record in records)

    @property
    def begins(self) -> bool:
        return all(isinstance(record, UserMessage | Command) for _, records in self.appends for record in records)

    def take_in(self) -> None:
        session = self.session
        session.length += len(self.write.payload)
        session.torn = session.cut_first = False
        for record in self._unasked:
            session.view.apply(record)
        for _, records in self.appends:
            for record in records:
                session.view.apply(record)

    def succeed(self) -> None:
        for append, records in self.appends:
            append.done.set_result(records)
        self.session.changed.set()

    def fail(self, fault: StorageError) -> None:
        for append, _ in self.appends:
            append.done.set_exception(fault)

    def _number(self, records: Iterable[Record], ts: str) -> list[Record]:
        numbered = [msgspec.structs.replace(record, seq=self._seq + i, ts=ts) for i, record in enumerate(records)]
        self._seq += len(numbered)
        return numbered
