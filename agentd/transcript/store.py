"""The session store: opens sessions, finds those with unfinished work, and appends records through one writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from aiofiles.os import wrap

from agentd.errors import StorageError
from agentd.transcript.asides import Mender
from agentd.transcript.clock import Clock
from agentd.transcript.coverage import Cover
from agentd.transcript.disk import Disk, Write
from agentd.transcript.faults import FileChanged, WrongKey, fault_sentence
from agentd.transcript.file_disk import FLUSH_THREADS, FileDisk, make_folder
from agentd.transcript.hearing import Heard, find_heard
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.lines import cut_lines
from agentd.transcript.marks import NO_MARKS, Marks
from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.past import load_past
from agentd.transcript.reading import MOST_CHARACTERS, Loaded, Older, find_key, load, load_ids, parse_header
from agentd.transcript.records import FORMAT_VERSION, Record, SessionHeader, encode_line
from agentd.transcript.searching import Searched, read_key, search
from agentd.transcript.seen import Seen
from agentd.transcript.threads import on
from agentd.transcript.view import Transcript, Turn
from agentd.transcript.writing import Observe, Session, Writer

__all__ = ["ReadLimits", "Session", "SessionStore", "open_store", "open_store_on"]

READER_THREADS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits what is read: the text of a session a prompt may need at most, and no file whose mark says it is
    settled.
    """

    most_characters: int = MOST_CHARACTERS
    marks: Marks = NO_MARKS


DEFAULT_READ_LIMITS = ReadLimits()


def unobserved(seconds: float) -> None:
    """The default observer, which ignores how long an append took."""
    del seconds


@dataclass(frozen=True, slots=True)
class Threads:
    """The executors for blocking calls; `writer` has one thread, so that jobs cannot overtake each other."""

    writer: Executor
    readers: Executor


class SessionStore:
    """Opens sessions and appends to them; made by `open_store`."""

    def __init__(
        self, folder: Path, disk: Disk, clock: Clock, threads: Threads, reads: ReadLimits, observe: Observe = unobserved
    ) -> None:
        """Keep sessions in `folder`."""
        self.folder = folder
        self._most_characters = reads.most_characters
        self._marks = reads.marks
        self._disk = disk
        self._mender = Mender(disk, clock, threads.writer, self._read_now)
        self._commit = on(threads.writer, disk.commit)
        self._writer = Writer(self._commit, self._mender, clock, observe)
        self._writing = threads.writer
        self._read = on(threads.readers, self._read_now)
        self._ids = on(threads.readers, self._ids_now)
        self._search = on(threads.readers, partial(search, disk, folder))
        self._key = on(threads.readers, self._key_now)
        self._heard = on(threads.readers, partial(find_heard, disk, folder))
        self._cover = on(threads.readers, self._cover_now)
        self._past = on(threads.readers, partial(load_past, disk))
        self._sessions: WeakValueDictionary[Path, Session] = WeakValueDictionary()
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._searched = Searched()

    async def open(self, key: SessionKey) -> Session:
        """Load a session; a missing file is an empty session. Raises StorageError if it cannot be read.

        A session that is already open is returned as it is: two views of one file would diverge.
        """
        path = self.folder / f"{key.file_name}.jsonl"
        async with self._lock(path):
            return await self._open(key, path)

    async def _open(self, key: SessionKey, path: Path) -> Session:
        aside: Path | None = None
        try:
            encode_line(SessionHeader(version=FORMAT_VERSION, key=key))
            try:
                loaded = await self._read(key, path)
            except (OSError, WrongKey) as fault:
                loaded, aside = await self._mender.reopen(key, path, fault)
        except UnicodeEncodeError as fault:
            raise StorageError(f"a key that is no Unicode cannot be written: {fault.reason}") from fault
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault
        session = Session(key, path, loaded.view, set_aside=aside)
        session.take(loaded)
        return self._sessions.setdefault(path, session)

    async def read_ids(self, session: Session) -> None:
        """Read the ids of older messages, if that was not done: until then the view knows those of the live part only.

        If a part of this file alone cannot be read, the session goes on; a redelivery of a message before that part may
        then be taken for a new one. Raises StorageError if more than this file is at fault, or the file is gone.
        """
        while (older := session.older) is not None:
            try:
                found = await self._ids(session.path, older)
            except FileNotFoundError:
                await self.append(session)  # refused, since the file is gone: it is read again
                continue
            except OSError as fault:
                raise StorageError(fault_sentence(fault)) from fault
            # Unless the file was read again meanwhile, which sets a new `older`.
            if session.older is older:
                session.view.seen.join(found)
                session.older = None

    async def past(self, session: Session, after: int, since: str) -> list[Turn]:
        """Return the turns with messages after a seq and since a time, even if reset or summarised meanwhile.

        Some turns from before them come first. If a part of this file alone cannot be read, the turns after it are
        returned. Raises StorageError if more than this file is at fault.
        """
        try:
            return await self._past(session.path, session.length, after, since)
        except FileNotFoundError:
            return []  # nothing was written yet
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault

    async def unfinished(self) -> list[SessionKey]:
        """Return the key of every session with something pending or undelivered, judged from the end of each file.

        A session whose file cannot be read is included: it may have such work, and opening it does what can be done.
        Files that were settled at the last search and have not changed since are not read. Raises StorageError if the
        folder cannot be read.
        """
        try:
            self._searched = await self._search(await self._marks.settled())
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault
        return self._searched.unfinished

    async def found_settled(self, since: str) -> AsyncIterator[SessionKey]:
        """Yield the sessions that `unfinished` read and found settled, if written since a time.

        Files that cannot be read are left out.
        """
        for name in self._searched.changed_since(since):
            key = parse_file_name(Path(name).stem) or await self._key(self.folder / name)
            if key is not None:
                yield key

    async def keep_marks(self) -> None:
        """Keep what `unfinished` found settled for the next run; call it once all unfinished sessions are done."""
        searched, self._searched = self._searched, Searched()
        await self._marks.keep(searched.settled, searched.gone)

    def forget_found(self, names: Collection[str]) -> None:
        """Make `keep_marks` keep nothing of these files, so that the next start reads them."""
        for name in names:
            self._searched.settled.pop(name, None)

    async def heard(self, channel: str) -> list[Heard]:
        """Return when each session of a channel last heard from a person; sessions that cannot be read are left out.

        Raises StorageError if the folder cannot be read.
        """
        try:
            return await self._heard(channel)
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault

    @property
    def busy_seconds(self) -> float:
        """Return how long the present commit has been running; 0 if there is none."""
        return self._writer.busy_seconds

    async def append(self, session: Session, *records: Record) -> list[Record]:
        """Append records, flush them (fsync), and return them with their `seq` and `ts`.

        Raises StorageError, and then none of them is in the file or the view. Cancelling the caller does not stop an
        append once it has a place in the writer's queue.
        """
        return await self._writer.append(session, *records)

    async def enqueue(self, session: Session, *records: Record) -> asyncio.Future[list[Record]]:
        """Begin to append; later appends to the session come after it.

        Return a future of the records, or of the StorageError; it must not be cancelled.
        """
        return await self._writer.enqueue(session, *records)

    async def cover(self, session: Session, to: int) -> tuple[int, str]:
        """Return the seq of the first message that a compaction up to the message `to` covers, and the digest.

        Raises StorageError if the file cannot be read, or was changed meanwhile.
        """
        view, cover, start = session.view, session.cover, _first_seq(session.view)
        if cover is None or cover.start != start or cover.to >= to:
            cover = Cover(start)
        try:
            digest = await self._cover(session.path, cover, session.length, to)
        except OSError as fault:
            session.cover = None
            raise StorageError(fault_sentence(fault)) from fault
        if session.view is not view or cover.start is None:
            raise StorageError("the session's file was changed meanwhile")
        session.cover = cover
        return cover.start, digest

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run a job that changes these files, on the writer's thread; return or raise what it does.

        Earlier appends are in the files by then. Sessions that are open on them are read again before later appends are
        committed. Cancelling the caller does not stop the job.
        """
        ended: list[asyncio.Future[T]] = []

        async def work() -> None:
            ended.append(await self._change(paths, job))

        await self._writer.between(work)
        return ended[0].result()

    def is_open(self, path: Path) -> bool:
        """Tell whether a session is open, even one without a file yet."""
        return path in self._sessions

    async def write(self) -> None:
        """Commit waiting appends, batch after batch, until `close`."""
        await self._writer.run()

    async def close(self) -> None:
        """Return when everything that `append` was called for is committed; later appends are refused."""
        await self._writer.close()

    async def _change(self, paths: Collection[Path], job: Callable[[], T]) -> asyncio.Future[T]:
        """Run the job while nobody reads these files, and return once open sessions match the files again."""
        async with AsyncExitStack() as stack:
            for path in sorted(set(paths)):
                await stack.enter_async_context(self._lock(path))
            sessions = [session for path in set(paths) if (session := self._sessions.get(path)) is not None]
            done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            fault = await self._cut(sessions)
            if fault is not None:
                done.set_exception(fault)
            else:
                done = asyncio.get_running_loop().run_in_executor(self._writing, job)
                await asyncio.wait([done])
                for session in sessions:
                    session.is_unread = True
                    await self._mender.reread(session)
                    session.changed.set()
            done.exception()  # retrieved, even if the caller is gone
            return done

    async def _cut(self, sessions: Collection[Session]) -> OSError | None:
        """Cut off what failed appends left, which would count as records; return the fault if that failed."""
        for session in [session for session in sessions if session.cut_first]:
            [fault] = await self._commit([Write(session.path, session.length, b"", cut_first=True)])
            if fault is not None and not isinstance(fault, FileChanged):
                return fault
            session.cut_first = False
        return None

    def _lock(self, path: Path) -> asyncio.Lock:
        """Return the lock that is held while a file is loaded, or changed other than by appending."""
        return self._locks.setdefault(path, asyncio.Lock())

    def _read_now(self, key: SessionKey, path: Path) -> Loaded:
        length, start = self._disk.start(path)
        if length == 0:
            return Loaded(Transcript(key=key), 0, ends_in_newline=True)
        if find_key(start, path) not in (None, key):
            raise WrongKey(f"{path.name} holds another session: move it away, or give it its own name back")
        loaded = load(self._disk, path, length, self._most_characters)
        header = parse_header(start)
        loaded.view.key, loaded.view.began = key, header.ts if header else ""
        return loaded

    def _key_now(self, path: Path) -> SessionKey | None:
        try:
            return read_key(self._disk, path)
        except OSError:
            return None

    def _ids_now(self, path: Path, older: Older) -> Seen:
        try:
            return load_ids(self._disk, path, older)
        except OSError:
            return load_ids(self._disk, path, older, spares_fault=True)

    def _cover_now(self, path: Path, cover: Cover, length: int, to: int) -> str:
        return cover.extend(cut_lines(self._disk.blocks(path, cover.offset, length)), to)


def _first_seq(view: Transcript) -> int | None:
    """Return the seq of a conversation's first message; None if that was not loaded, or there is none."""
    if view.summary is not None:
        return view.summary.covers[0]
    seqs = [message.seq for turn in view.turns for message in turn.messages]
    return None if view.is_cut else min([*seqs, *view.pending], default=None)


@asynccontextmanager
async def open_store(
    folder: Path,
    clock: Clock,
    *,
    persistent: bool = True,
    limits: ReadLimits = DEFAULT_READ_LIMITS,
    wrap_disk: Callable[[Disk], Disk] = lambda disk: disk,
    observe: Observe = unobserved,
) -> AsyncIterator[SessionStore]:
    """Keep sessions in `folder` (made 0700 if missing); leaving the block commits what waits.

    Raises StorageError if there can be no such folder.
    """
    if persistent:
        try:
            await wrap(make_folder)(folder)
        except OSError as fault:
            sentence = f"{folder} cannot be used ({fault.strerror}): set workspace to a folder that you may write"
            raise StorageError(sentence) from fault
    with ThreadPoolExecutor(FLUSH_THREADS, "transcript-flush") as flushers:
        disk: Disk = FileDisk(flushers) if persistent else MemoryDisk()
        marks = limits.marks if persistent else NO_MARKS
        async with open_store_on(wrap_disk(disk), folder, clock, limits.most_characters, marks, observe) as store:
            yield store


@asynccontextmanager
async def open_store_on(
    disk: Disk,
    folder: Path,
    clock: Clock,
    most_characters: int = MOST_CHARACTERS,
    marks: Marks = NO_MARKS,
    observe: Observe = unobserved,
) -> AsyncIterator[SessionStore]:
    """Keep sessions on this disk; leaving the block commits what waits, however the body ended.

    `most_characters` is the text of a session that is loaded at most.
    """
    with (
        ThreadPoolExecutor(1, "transcript-writer") as writer,
        ThreadPoolExecutor(READER_THREADS, "transcript-reader") as readers,
    ):
        store = SessionStore(folder, disk, clock, Threads(writer, readers), ReadLimits(most_characters, marks), observe)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.write(), name="transcript-writer")
            try:
                yield store
            finally:
                await store.close()
