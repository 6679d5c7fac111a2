"""Repairs and brings in sessions while the daemon runs: the store's writer does it, between commits.

Files are examined beside it, one at a time: only one that is damaged has to wait for the writer, and the writer for
it. An import arrives as the finished lines, made by the client, who alone can read its source: they are put beside the
sessions as they come, and the writer only gives them their name.
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
    """Who asked."""

    def body(self, size: int) -> AsyncIterator[bytes]:
        """Yield the bytes that came with the request."""
        ...

    async def say(self, *lines: str) -> None:
        """Send lines of the answer; raises OSError where nobody reads them any more."""
        ...


class _Repair(msgspec.Struct):
    name: str | None = None
    """Of one file, without its suffix; None: of all."""


class _Import(msgspec.Struct):
    key: SessionKey
    size: int


class Tending:
    """The commands that write session files, for a daemon that has them open."""

    def __init__(self, store: SessionStore, clock: Clock, wake: Callable[[SessionKey], None]) -> None:
        """Work on the sessions of this store; `wake` is told whose file was mended: a message may wait again."""
        self._store = store
        self._wake = wake
        self._clock = clock
        self._arriving: set[Path] = set()

    async def repair(self, request: Mapping[str, object], caller: Caller) -> int:
        """Repair one file or all, one after the other, and return 1 where damage is left, or a file was refused."""
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
        """Bring in a session whose finished lines come with the request; it is there whole, or not at all."""
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
            # It was listed, and is gone by now, or has another name: under that it is a file of its own.
            outcome = Outcome((), is_damaged=False)
        except OSError as fault:
            outcome = refused(path, fault)
        if right is not None:
            await self._wake_up(right)
        return outcome

    async def _wake_up(self, path: Path) -> None:
        """Let a file's session see what it holds now, also where the repair of it was broken off."""
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
        """Give what came its name, on the writer's thread: nobody can open the session meanwhile."""
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
