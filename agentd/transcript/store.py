"""The store of sessions: one writer for all files, whose appends are durable when they return.

An append is encoded, numbered, written and flushed as one job that no cancellation can cut; the session's view
takes in its records at that moment, whether or not the caller still waits. Appends that wait while a job runs make
up the next one, so that many sessions share the disk's flushes. Appends to one file keep their order.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import msgspec
import structlog
from aiofiles.os import wrap

from agentd.errors import StorageError
from agentd.transcript.clock import Clock, format_time
from agentd.transcript.disk import FLUSH_THREADS, Disk, FileChanged, FileDisk, Write, make_folder
from agentd.transcript.key import SessionKey
from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.reading import MOST_CHARACTERS, Loaded, find_key, load
from agentd.transcript.records import FORMAT_VERSION, Record, SessionHeader, Undo, encode_line
from agentd.transcript.view import Transcript

__all__ = ["Session", "SessionStore", "open_store", "open_store_on"]

WAITING_APPENDS = 1_024
"""Appends that may wait for the writer; the next one waits for room."""

BATCH_APPENDS = 256
"""Appends that one job takes at most."""

READER_THREADS = 2

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(slots=True, weakref_slot=True)
class Session:
    """An open session: its file, and what the file's records mean. Only the writer changes it."""

    key: SessionKey
    path: Path
    view: Transcript
    length: int = 0
    torn: bool = False
    """The last line has no newline: it is closed before anything follows."""
    cut_first: bool = False
    """A failed write may have left bytes after `length`."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at each commit, also where the caller of `append` is gone; who waits on it clears it."""


@dataclass(frozen=True, slots=True)
class _Append:
    session: Session
    records: tuple[Record, ...]
    done: asyncio.Future[list[Record]]


class SessionStore:
    """Opens sessions and appends to them; made by `open_store`."""

    def __init__(
        self, folder: Path, disk: Disk, clock: Clock, writer: Executor, readers: Executor, most_characters: int
    ) -> None:
        """Keep sessions in `folder`; `writer` has one thread, so that jobs cannot overtake each other.

        Of a session so much text is read back as a prompt may need at most.
        """
        self.folder = folder
        self._most_characters = most_characters
        self._disk = disk
        self._clock = clock
        self._commit = _on(writer, disk.commit)
        self._read = _on(readers, self._read_now)
        self._keys = _on(readers, self._keys_now)
        self._unfinished = _on(readers, self._unfinished_now)
        self._sessions: WeakValueDictionary[Path, Session] = WeakValueDictionary()
        self._room = asyncio.Semaphore(WAITING_APPENDS)
        self._queue: asyncio.Queue[_Append | None] = asyncio.Queue(WAITING_APPENDS + 1)
        self._closed = False

    async def open(self, key: SessionKey) -> Session:
        """Read a session back; a missing file is an empty session. Raises StorageError where it cannot be read.

        Who opens what somebody else holds open gets the same session: two views of one file would part.
        """
        path = self.folder / f"{key.file_name}.jsonl"
        try:
            encode_line(SessionHeader(version=FORMAT_VERSION, key=key))
            loaded = await self._read(key, path)
        except UnicodeEncodeError as fault:
            raise StorageError(f"a key that is no Unicode cannot be written: {fault.reason}") from fault
        except OSError as fault:
            raise StorageError(_sentence(fault)) from fault
        session = Session(key, path, loaded.view, loaded.length, torn=not loaded.ends_in_newline)
        return self._sessions.setdefault(path, session)

    async def keys(self) -> list[SessionKey]:
        """Return the key of every session that has a file. Raises StorageError where the folder cannot be read."""
        try:
            return await self._keys()
        except OSError as fault:
            raise StorageError(_sentence(fault)) from fault

    async def unfinished(self) -> list[SessionKey]:
        """Return the key of every session with something pending or undelivered, from the end of each file.

        Raises StorageError where the folder cannot be read.
        """
        try:
            return await self._unfinished()
        except OSError as fault:
            raise StorageError(_sentence(fault)) from fault

    async def append(self, session: Session, *records: Record) -> list[Record]:
        """Put records on disk, flushed, and return them with their `seq` and `ts`.

        Raises StorageError, and then none of them is in the file or the view. Cancelling the caller does not stop
        an append once there was room for it to wait.
        """
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise StorageError("the sessions are closed: nothing is written any more")
        done: asyncio.Future[list[Record]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(self._leave)
        self._queue.put_nowait(_Append(session, records, done))
        return await asyncio.shield(done)

    async def write(self) -> None:
        """Commit what waits, batch after batch, until `close`."""
        batch: list[_Append] = []
        try:
            while batch := await self._next_batch():
                await self._commit_batch(batch)
        finally:
            self._give_up(batch)

    async def close(self) -> None:
        """Return when everything that `append` was called for is committed; what comes later is refused."""
        # Room is given in the order in which it was asked for: who has all of it comes after everybody.
        for _ in range(WAITING_APPENDS):
            await self._room.acquire()
        self._closed = True
        self._room.release()
        self._queue.put_nowait(None)

    async def _next_batch(self) -> list[_Append]:
        """Wait for an append, and return all that wait by then; none at the end, whose mark comes alone."""
        batch = [await self._queue.get()]
        while len(batch) < BATCH_APPENDS and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return [append for append in batch if append is not None]

    def _leave(self, done: asyncio.Future[list[Record]]) -> None:
        self._room.release()
        if not done.cancelled():
            done.exception()  # looked at, even where the caller is gone

    def _give_up(self, batch: list[_Append]) -> None:
        """Wake who still waits where the writer was cut: how their appends ended is not known."""
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
        faults = await self._commit([job.write for job in jobs])
        for job, fault in zip(jobs, faults, strict=True):
            if fault is not None:
                await self._fail(job, fault)
                continue
            job.take_in()
            if job.revokes:
                # What the compaction covered is in force again, and may stand before what was read of the file.
                await self._resync(job.session)
            job.succeed()

    async def _fail(self, job: _Job, fault: OSError) -> None:
        session = job.session
        log.error("append_failed", session=session.path.stem, fault=str(fault))
        session.cut_first = not isinstance(fault, FileChanged)
        if isinstance(fault, FileChanged):
            await self._resync(session)
        job.fail(StorageError(_sentence(fault)))

    async def _resync(self, session: Session) -> None:
        """Read a file anew that somebody else has changed: what stands there is the truth."""
        try:
            loaded = await self._read(session.key, session.path)
        except (OSError, StorageError) as fault:
            log.error("session_not_readable", session=session.path.stem, fault=str(fault))
            return
        session.view, session.length, session.torn = loaded.view, loaded.length, not loaded.ends_in_newline

    def _read_now(self, key: SessionKey, path: Path) -> Loaded:
        length, start = self._disk.start(path)
        if length == 0:
            return Loaded(Transcript(key=key), 0, ends_in_newline=True)
        if find_key(start, path) not in (None, key):
            raise StorageError(f"{path.name} holds another session: move it away, or give it its own name back")
        loaded = load(self._disk, path, length, self._most_characters)
        loaded.view.key = key
        return loaded

    def _keys_now(self) -> list[SessionKey]:
        return [key for key, _, _ in self._sessions_now()]

    def _unfinished_now(self) -> list[SessionKey]:
        return [key for key, path, length in self._sessions_now() if self._has_work(path, length)]

    def _sessions_now(self) -> Iterator[tuple[SessionKey, Path, int]]:
        """Yield key, file and length of every session that can be read."""
        for path in self._disk.files(self.folder):
            try:
                length, start = self._disk.start(path)
            except OSError as fault:
                log.error("session_not_readable", session=path.stem, fault=str(fault))
                continue
            key = find_key(start, path) if length else None
            if key is not None and path.stem == key.file_name:
                yield key, path, length
            elif length:
                log.warning("session_file_ignored", file=path.name)

    def _has_work(self, path: Path, length: int) -> bool:
        try:
            return not load(self._disk, path, length, self._most_characters, with_ids=False).view.is_idle
        except OSError as fault:
            log.error("session_not_readable", session=path.stem, fault=str(fault))
            return False


class _Job:
    """The appends of one file in one batch, as the bytes that will stand there."""

    def __init__(self, appends: list[_Append], ts: str) -> None:
        self.session = appends[0].session
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


@asynccontextmanager
async def open_store(
    folder: Path,
    clock: Clock,
    *,
    persistent: bool = True,
    most_characters: int = MOST_CHARACTERS,
    wrap_disk: Callable[[Disk], Disk] = lambda disk: disk,
) -> AsyncIterator[SessionStore]:
    """Keep sessions in `folder` (made 0700 if missing); leaving commits what waits.

    Raises StorageError where there can be no such folder.
    """
    if persistent:
        try:
            await wrap(make_folder)(folder)
        except OSError as fault:
            sentence = f"{folder} cannot be used ({fault.strerror}): set workspace to a folder that you may write"
            raise StorageError(sentence) from fault
    with ThreadPoolExecutor(FLUSH_THREADS, "transcript-flush") as flushers:
        disk: Disk = FileDisk(flushers) if persistent else MemoryDisk()
        async with open_store_on(wrap_disk(disk), folder, clock, most_characters) as store:
            yield store


@asynccontextmanager
async def open_store_on(
    disk: Disk, folder: Path, clock: Clock, most_characters: int = MOST_CHARACTERS
) -> AsyncIterator[SessionStore]:
    """Keep sessions on this disk; leaving commits what waits, however the body ended."""
    with (
        ThreadPoolExecutor(1, "transcript-writer") as writer,
        ThreadPoolExecutor(READER_THREADS, "transcript-reader") as readers,
    ):
        store = SessionStore(folder, disk, clock, writer, readers, most_characters)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.write(), name="transcript-writer")
            try:
                yield store
            finally:
                await store.close()


def _on(executor: Executor, blocking: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """Return the coroutine function that runs a blocking one on this executor."""
    run = wrap(blocking)
    return lambda *args: run(*args, executor=executor)


def _sentence(fault: OSError) -> str:
    if isinstance(fault, FileChanged):
        return f"the session's file was changed by somebody else ({fault}); what it holds now was read again"
    hint = {
        errno.ENOSPC: "free some space",
        errno.EACCES: "check its owner and mode",
        errno.EROFS: "mount it writable",
    }
    todo = hint.get(fault.errno or 0, "check the disk")
    return f"the session could not be written or read: {fault.strerror or fault}; {todo}"
