"""Writes another agent's conversation as a new session, atomically: complete under its name, or not at all.

The messages are history: none of them is pending, so an import makes the daemon send nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agentd.transcript.foreign import ForeignFile
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import Line, read_lines
from agentd.transcript.records import FORMAT_VERSION, SessionHeader, encode_line, parse_line
from agentd.transcript.repair import flush_folder, own_as

__all__ = [
    "build_session",
    "create_unfinished",
    "find_header",
    "find_key_text",
    "give_name",
    "taken_text",
    "write_session",
]


def find_key_text(path: Path) -> str | None:
    """Return the key that the metadata in the first line names, if any. Raises OSError."""
    foreign = ForeignFile()
    for line in read_lines(path):
        foreign.take(line.content)
        if line.content is None or line.content.strip():
            break
    return foreign.key_text


def find_header(path: Path) -> SessionHeader | None:
    """Return the header of a session that an import wrote: its first line."""
    first = next(iter(read_lines(path)), None)
    record = parse_line(first.content) if first and first.content else None
    return record if isinstance(record, SessionHeader) else None


def build_session(lines: Iterator[Line], key: SessionKey, now: str, foreign: ForeignFile) -> Iterator[bytes]:
    """Yield the new session's lines; a message without a time gets that of the one before, the first `now`."""
    found = (message for line in lines if (message := foreign.take(line.content)) is not None)
    first = next(found, None)
    if first is None:
        return
    ts = first.ts or now
    yield encode_line(SessionHeader(version=FORMAT_VERSION, key=key, seq=0, ts=ts))
    yield encode_line(msgspec.structs.replace(first, seq=1, ts=ts))
    for seq, message in enumerate(found, start=2):
        ts = message.ts or ts
        yield encode_line(msgspec.structs.replace(message, seq=seq, ts=ts))


def write_session(lines: Iterator[bytes], target: Path) -> None:
    """Write a new session file (0600), flushed. Raises FileExistsError if there is one, and other OSErrors."""
    unfinished, fd = create_unfinished(target)
    try:
        with os.fdopen(fd, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(fd)
        give_name(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def create_unfinished(target: Path) -> tuple[Path, int]:
    """Create a file (0600) beside the target, replacing what an interrupted import left."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    own_as(fd, target.parent)
    return unfinished, fd


def give_name(unfinished: Path, target: Path) -> None:
    """Link the finished file under its name, flushed. Raises FileExistsError if there is one."""
    os.link(unfinished, target)
    flush_folder(target.parent)


def taken_text(target: Path) -> str:
    """Say that the session exists already, and nothing was imported."""
    return f"{target} exists already: nothing was imported; give another --chat or --sender"
