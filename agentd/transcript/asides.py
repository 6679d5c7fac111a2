"""Repairs a session whose file has changed or cannot be used: reads it again, or sets it aside and goes on in a fresh
one.

If somebody else has changed the file, it is read again: what it says now is the truth. If the fault concerns this file
alone, it is set aside, and a fresh one takes its name: a copy, if the old file can be read, so that nothing is
forgotten and seqs go on; an empty one if it cannot, or is another session's. A session is not mended twice unless
something was written in between.

All of this runs on the writer's thread: no commit falls between the look at a file and its replacement.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import structlog

from agentd.errors import StorageError
from agentd.transcript.clock import Clock
from agentd.transcript.disk import Aside, Disk
from agentd.transcript.faults import WrongKey, is_of_one_file
from agentd.transcript.key import SessionKey
from agentd.transcript.reading import Loaded
from agentd.transcript.threads import on
from agentd.transcript.writing import Session

__all__ = ["Mender"]

log = structlog.get_logger()

Read = Callable[[SessionKey, Path], Loaded]


class Mender:
    """Reads changed files again, and sets unusable ones aside."""

    def __init__(self, disk: Disk, clock: Clock, writer: Executor, read: Read) -> None:
        """Work on the writer's thread; `read` loads a session from its file."""
        self._disk = disk
        self._clock = clock
        self._read_now = read
        self._mended: set[Path] = set()
        self._read = on(writer, read)
        self._reopen = on(writer, self._reopen_now)
        self._replace = on(writer, self._replace_now)

    async def reopen(self, key: SessionKey, path: Path, fault: OSError | StorageError) -> tuple[Loaded, Path | None]:
        """Load a session whose file could not be read; also return where its history is, if that is left behind.

        Raises the fault again if it does not concern this file alone, or nothing can be done about it.
        """
        if not self._may_mend(path, fault):
            raise fault
        try:
            return await self._reopen(key, path)
        except OSError as other:
            log.error("session_not_set_aside", session=path.stem, fault=str(other))
            raise fault from other

    async def mend(self, session: Session, fault: OSError, *, begins: bool) -> bool:
        """Replace the file of a failed append; return whether the append can be tried once more.

        An empty replacement is allowed only if the append begins something and nothing else is under way: what a turn
        writes names records that an empty file does not have, and waiting messages would be forgotten.
        """
        # A new file that cannot be flushed holds nothing to keep, and its folder is as likely at fault.
        is_new = session.length == 0 and fault.errno == errno.EIO
        if is_new or not self._may_mend(session.path, fault):
            return False
        try:
            may_forget = begins and session.view.is_idle
            aside, copied = await self._replace(session.path, fault, "copy or rename" if may_forget else "copy")
            if not copied:
                session.take(await self._read(session.key, session.path))
                session.set_aside = aside
        except (OSError, StorageError) as other:
            log.error("session_not_set_aside", session=session.path.stem, fault=str(other))
            return False
        session.cut_first = copied
        return True

    async def reread(self, session: Session) -> None:
        """Read a file again that holds something other than the session's view."""
        try:
            loaded = await self._read(session.key, session.path)
        except (OSError, StorageError) as fault:
            log.error("session_not_readable", session=session.path.stem, fault=str(fault))
        else:
            session.take(loaded)

    def written(self, session: Session) -> None:
        """Note that an append succeeded: the file may be mended again."""
        self._mended.discard(session.path)

    def _may_mend(self, path: Path, fault: OSError | StorageError) -> bool:
        return path not in self._mended and is_of_one_file(fault)

    def _reopen_now(self, key: SessionKey, path: Path) -> tuple[Loaded, Path | None]:
        try:
            return self._read_now(key, path), None  # something else mended it meanwhile
        except (OSError, WrongKey) as fault:
            if not is_of_one_file(fault):
                raise
            aside, copied = self._replace_now(
                path, fault, "rename" if isinstance(fault, WrongKey) else "copy or rename"
            )
            return self._read_now(key, path), None if copied else aside

    def _replace_now(self, path: Path, fault: OSError | StorageError, how: Aside) -> tuple[Path, bool]:
        aside, copied = self._disk.set_aside(path, f".aside-{self._clock():%Y%m%dT%H%M%SZ}", how)
        self._mended.add(path)
        log.error("session_set_aside", session=path.stem, to=aside.name, copied=copied, fault=str(fault))
        return aside, copied
