"""The store of sessions: opens them, finds those with work left, and appends to them through one writer."""

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
    """How much is read: of a session so much text as a prompt may need at most, and no file that `marks` vouch for."""

    most_characters: int = MOST_CHARACTERS
    marks: Marks = NO_MARKS


DEFAULT_READ_LIMITS = ReadLimits()


def unobserved(seconds: float) -> None:
    """Let nobody know how long an append took."""
    del seconds


@dataclass(frozen=True, slots=True)
class Threads:
    """Where blocking calls run; `writer` has one thread, so that jobs cannot overtake each other."""

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
        """Read a session back; a missing file is an empty session. Raises StorageError where it cannot be read.

        Who opens what somebody else holds open gets the same session: two views of one file would part.
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
        """Read the ids of older messages, if that was not done: before this, its view knows the live part's only.

        Where a part of this file alone cannot be read, the session goes on: it may take a message from before that
        part, should it come again, for a new one. Raises StorageError where the fault is of more than this file, or
        the file is gone.
        """
        while (older := session.older) is not None:
            try:
                found = await self._ids(session.path, older)
            except FileNotFoundError:
                await self.append(session)  # refused: this is not the file that was written, and it is read anew
                continue
            except OSError as fault:
                raise StorageError(fault_sentence(fault)) from fault
            # Unless the file was read anew meanwhile: then what is older is another matter.
            if session.older is older:
                session.view.seen.join(found)
                session.older = None

    async def past(self, session: Session, after: int, since: str) -> list[Turn]:
        """Return the turns with messages behind a seq and since a time, whatever was reset or summarised meanwhile.

        Some from before them stand at the beginning. Where a part of this file alone cannot be read, what stands
        behind it is returned. Raises StorageError where the fault is of more than this file.
        """
        try:
            return await self._past(session.path, session.length, after, since)
        except FileNotFoundError:
            return []  # nothing was written yet
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault

    async def unfinished(self) -> list[SessionKey]:
        """Return the key of every session with something pending or undelivered, from the end of each file.

        One whose file cannot be read is among them: it may have such work, and opening it does what can be done.
        Files that were settled when they were last searched, and have not changed since, are not read. Raises
        StorageError where the folder cannot be read.
        """
        try:
            self._searched = await self._search(await self._marks.settled())
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault
        return self._searched.unfinished

    async def found_settled(self, since: str) -> AsyncIterator[SessionKey]:
        """Yield the keys of the sessions that `unfinished` read and found settled, but for those not written since.

        What cannot be read is left out.
        """
        for name in self._searched.changed_since(since):
            key = parse_file_name(Path(name).stem) or await self._key(self.folder / name)
            if key is not None:
                yield key

    async def keep_marks(self) -> None:
        """Keep for the next run what `unfinished` found settled, once all that it found unfinished is done."""
        searched, self._searched = self._searched, Searched()
        await self._marks.keep(searched.settled, searched.gone)

    def forget_found(self, names: Collection[str]) -> None:
        """Let `keep_marks` keep nothing of these files."""
        for name in names:
            self._searched.settled.pop(name, None)

    async def heard(self, channel: str) -> list[Heard]:
        """Return when somebody was heard last in each session of a channel; one that cannot be read is left out.

        Raises StorageError where the folder cannot be read.
        """
        try:
            return await self._heard(channel)
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault

    @property
    def busy_seconds(self) -> float:
        """Return how long what is being put on disk takes; 0 where nothing is."""
        return self._writer.busy_seconds

    async def append(self, session: Session, *records: Record) -> list[Record]:
        """Put records on disk, flushed, and return them with their `seq` and `ts`.

        Raises StorageError, and then none of them is in the file or the view. Cancelling the caller does not stop
        an append once there was room for it to wait.
        """
        return await self._writer.append(session, *records)

    async def enqueue(self, session: Session, *records: Record) -> asyncio.Future[list[Record]]:
        """Begin to append: what is appended to this session after it comes after it.

        Return what has the records, or the StorageError, in the end; it must not be cancelled.
        """
        return await self._writer.enqueue(session, *records)

    async def cover(self, session: Session, to: int) -> tuple[int, str]:
        """Return from which message on a compaction that ends with the message `to` covers, and its digest.

        Raises StorageError where the file cannot be read, or was changed meanwhile.
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

        What was appended before is in the files by then. Sessions that are open on them are read anew, before what
        is appended after is committed. Cancelling the caller does not stop the job.
        """
        ended: list[asyncio.Future[T]] = []

        async def work() -> None:
            ended.append(await self._change(paths, job))

        await self._writer.between(work)
        return ended[0].result()

    def is_open(self, path: Path) -> bool:
        """Tell whether a session is open, also one that has no file yet."""
        return path in self._sessions

    async def write(self) -> None:
        """Commit what waits, batch after batch, until `close`."""
        await self._writer.run()

    async def close(self) -> None:
        """Return when everything that `append` was called for is committed; what comes later is refused."""
        await self._writer.close()

    async def _change(self, paths: Collection[Path], job: Callable[[], T]) -> asyncio.Future[T]:
        """Run the job, with nobody reading these files, and return once open sessions are what the files hold now."""
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
            done.exception()  # looked at, even where the caller is gone
            return done

    async def _cut(self, sessions: Collection[Session]) -> OSError | None:
        """Take away what failed appends left, which would count as records; return why that failed."""
        for session in [session for session in sessions if session.cut_first]:
            [fault] = await self._commit([Write(session.path, session.length, b"", cut_first=True)])
            if fault is not None and not isinstance(fault, FileChanged):
                return fault
            session.cut_first = False
        return None

    def _lock(self, path: Path) -> asyncio.Lock:
        """Return what is held while a file is read to be opened, or changed by other means than appending."""
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
    """Return the seq of a conversation's first message; None where that was not read back, or there is none."""
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
    """Keep sessions on this disk; leaving commits what waits, however the body ended.

    Of a session so much text is read back as a prompt may need at most.
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
