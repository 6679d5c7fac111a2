"""Stores the files that came with messages (attachments), in the folder `NAME.files/` beside their session.

A stored name is made here, of an id and the harmless part of the sender's name for it; the file and its folder are
flushed before a record names it. Reading takes exactly such a name: no path leads out of the folder, no link is
followed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiofiles
from aiofiles.os import wrap

from agentd.errors import StorageError
from agentd.transcript.faults import fault_sentence
from agentd.transcript.file_disk import make_folder
from agentd.transcript.key import SessionKey

__all__ = ["HEAD_BYTES", "MOST_BYTES", "Enclosures", "Kept", "TooLarge"]

MOST_BYTES = 20 * 1024 * 1024
"""Per file: what Telegram lets a bot download (https://core.telegram.org/bots/api#getfile)."""

HEAD_BYTES = 64 * 1024
"""How much of a file's beginning `keep` returns."""

MOST_NAME_CHARACTERS = 60

Write = Callable[[bytes], Awaitable[object]]

_HARMLESS = re.compile(r"[^A-Za-z0-9._-]+")
_OWN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class TooLarge(Exception):
    """A file is larger than `MOST_BYTES`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file on disk: its path below the session's folder, its size, and its first bytes."""

    path: str
    size_bytes: int
    head: bytes


class Enclosures:
    """Keeps the files of all sessions in `folder`, beside the session files; None: nothing is kept on disk."""

    def __init__(self, folder: Path | None) -> None:
        """Keep files beside the sessions in `folder`."""
        self._folder = folder

    async def keep(self, key: SessionKey, stem: str, name: str, blocks: AsyncIterator[bytes]) -> Kept:
        """Put a file on disk, flushed; the same `stem` and `name` name the same file."""
        if self._folder is None:
            return await _measure(blocks)
        path = f"{stem}-{_harmless(name)}"
        folder = self._folder / f"{key.file_name}.files"
        try:
            await wrap(_prepare)(folder, path)
            kept = await _write(folder, path, blocks)
            await wrap(_flush_folder)(folder)
        except OSError as fault:
            raise StorageError(fault_sentence(fault)) from fault
        return kept

    async def read(self, key: SessionKey, path: str) -> bytes | None:
        """Return a file's bytes; None if there is no readable file of this name, or it is too large."""
        if self._folder is None or not _OWN.fullmatch(path):
            return None
        folder = self._folder / f"{key.file_name}.files"
        try:
            if await wrap(os.path.islink)(folder):
                return None
            async with aiofiles.open(folder / path, "rb", opener=_open_own) as file:
                content = await file.read(MOST_BYTES + 1)
        except OSError:
            return None
        return content if len(content) <= MOST_BYTES else None


async def _write(folder: Path, path: str, blocks: AsyncIterator[bytes]) -> Kept:
    """Write a new file; an incomplete one is removed."""
    kept = None
    try:
        async with aiofiles.open(folder / path, "xb", opener=_open_private) as file:
            measured = await _measure(blocks, file.write, path)
            await file.flush()
            await wrap(os.fsync)(file.fileno())
            kept = measured
    finally:
        if kept is None:
            _remove(folder / path)
    return kept


async def _measure(blocks: AsyncIterator[bytes], write: Write | None = None, path: str = "") -> Kept:
    size, head = 0, b""
    async for block in blocks:
        size += len(block)
        if size > MOST_BYTES:
            raise TooLarge
        if len(head) < HEAD_BYTES:
            head += block[: HEAD_BYTES - len(head)]
        if write is not None:
            await write(block)
    return Kept(path, size, head)


def _harmless(name: str) -> str:
    """Return the part of a name that can stand in a path: no folder, no leading dot, nothing a shell would act on."""
    stem, dot, ending = _HARMLESS.sub("_", name).rpartition(".")
    ending = ending[:12]
    return f"{stem[: MOST_NAME_CHARACTERS - len(ending)]}{dot}{ending}" or "file"


def _prepare(folder: Path, path: str) -> None:
    """Make the folder, and remove what an earlier run left of the file, or a link somebody put in its place."""
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    make_folder(folder)
    _remove(folder / path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _open_own(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _flush_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
