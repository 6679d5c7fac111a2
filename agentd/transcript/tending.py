"""Repairs and imports sessions while the daemon runs, through the store's writer, between commits.

Files are examined outside the writer, one at a time; only a damaged one waits for the writer, and the writer for it. An
import arrives as finished lines from the client, which alone can read the source: they are written beside the sessions
as they come, and the writer only links the finished file under its name.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from agentd.errors import AgentdError
from agentd.transcript.clock import Clock, format_time
from agentd.transcript.importing import create_unfinished, find_header, give_name, taken_text
from agentd.transcript.key import SessionKey
from agentd.transcript.mending import Outcome, examine, mend, refused
from agentd.transcript.repair import right_path
from agentd.transcript.store import SessionStore

__all__ = ["Caller", "Tending"]


class Caller(Protocol):
    """The client of the control socket that sent the command."""

    def body(self, size: int) -> AsyncIterator[bytes]:
        """Yield the bytes that came with the request."""
        ...

    async def say(self, *lines: str) -> None:
        """Send lines of the answer; raises OSError if the client is gone."""
        ...


class _Repair(msgspec.Struct):
    name: str | None = None
    """The file to repair, without its suffix; None: all files."""


class _Import(msgspec.Struct):
    key: SessionKey
    size: int


class Tending:
    """Serves the commands `sessions repair` and `sessions import` for a daemon that has the files open."""

    def __init__(self, store: SessionStore, clock: Clock, wake: Callable[[SessionKey], None]) -> None:
        """Work on this store's sessions; `wake` is called with each repaired session's key: a message may be pending
        again.
        """
        self._store = store
        self._wake = wake
        self._clock = clock
        self._arriving: set[Path] = set()

    async def repair(self, request: Mapping[str, object], caller: Caller) -> int:
        """Repair one file or all, one after the other; return 1 if damage is left or a file was refused."""
        wanted = msgspec.convert(request, _Repair).name
        files = await asyncio.to_thread(_session_files, self._store.folder)
        damaged = 0
        for path in files:
            if wanted in (None, path.stem):
                outcome = await self._mend(path)
                await caller.say(*outcome.lines)
                damaged += outcome.is_damaged
        return 1 if damaged else 0

    async def take_in(self, request: Mapping[str, object], caller: Caller) -> int:
        """Import a session whose finished lines come with the request: completely, or not at all."""
        wanted = msgspec.convert(request, _Import)
        target = self._store.folder / f"{wanted.key.file_name}.jsonl"
        if target in self._arriving:
            raise AgentdError(taken_text(target))
        self._arriving.add(target)
        try:
            await self._bring_in(target, wanted, caller)
        except FileExistsError:
            raise AgentdError(taken_text(target)) from None
        finally:
            self._arriving.discard(target)
        return 0

    async def _mend(self, path: Path) -> Outcome:
        right: Path | None = None
        try:
            findings = await asyncio.to_thread(examine, path)
            if not any(finding.is_damage for finding in findings):
                return Outcome((), is_damaged=False)
            right = await asyncio.to_thread(right_path, path)
            outcome = await self._store.exclusive((path, right), partial(mend, path, format_time(self._clock())))
        except FileNotFoundError:
            # It was listed, but is gone by now, or renamed: under that name it is a file of its own.
            outcome = Outcome((), is_damaged=False)
        except OSError as fault:
            outcome = refused(path, fault)
        if right is not None:
            await self._wake_up(right)
        return outcome

    async def _wake_up(self, path: Path) -> None:
        """Make the file's session look at it, even if its repair was broken off."""
        try:
            header = await asyncio.to_thread(find_header, path)
        except OSError:
            return
        if header is not None:
            self._wake(header.key)

    async def _bring_in(self, target: Path, wanted: _Import, caller: Caller) -> None:
        if await asyncio.to_thread(os.path.lexists, target):
            raise FileExistsError(target)
        unfinished, fd = await asyncio.to_thread(create_unfinished, target)
        try:
            with os.fdopen(fd, "wb") as file:
                async for block in caller.body(wanted.size):
                    await asyncio.to_thread(file.write, block)
                await asyncio.to_thread(_flush, file)
            header = await asyncio.to_thread(find_header, unfinished)
            if header is None or header.key != wanted.key:
                raise AgentdError("what was to be imported is not the session that it was announced as")
            await self._store.exclusive((target,), partial(self._name, unfinished, target))
        finally:
            unfinished.unlink(missing_ok=True)

    def _name(self, unfinished: Path, target: Path) -> None:
        """Give the imported file its name, on the writer's thread, so that nobody opens the session meanwhile."""
        if self._store.is_open(target):
            raise FileExistsError(target)
        give_name(unfinished, target)


def _session_files(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False)]
    return sorted(Path(entry.path) for entry in found)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
