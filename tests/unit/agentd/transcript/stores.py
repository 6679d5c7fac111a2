"""This module opens stores and reads their files for the tests of the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agentd.transcript.disk import Disk
from agentd.transcript.key import SessionKey
from agentd.transcript.reading import MOST_CHARACTERS, find_key
from agentd.transcript.records import Record, SessionHeader, UserMessage, parse_line
from agentd.transcript.store import SessionStore, open_store_on
from agentd.transcript.view import Transcript
from tests.fakes.disk import FakeDisk, Gate
from tests.unit.agentd.transcript.building import (
    KEY,
    start_clock,
)


@asynccontextmanager
async def opened(disk: FakeDisk, folder: Path, most_characters: int = MOST_CHARACTERS) -> AsyncIterator[SessionStore]:
    """Open a store that may not hang."""
    async with asyncio.timeout(30), open_store_on(disk, folder, start_clock, most_characters) as store:
        yield store


def path_of(folder: Path, key: SessionKey = KEY) -> Path:
    return folder / f"{key.file_name}.jsonl"


def records_of(disk: FakeDisk, folder: Path, key: SessionKey = KEY) -> list[Record]:
    """Return every record of a file, the header left out; damage is a failed test."""
    path = path_of(folder, key)
    length, _ = disk.start(path)
    *lines, end = reversed(list(disk.lines_backwards(path, length)))
    records = [parse_line(line) for line in lines]
    assert end == b""
    assert [record.seq for record in records] == list(range(len(records)))
    return [record for record in records if isinstance(record, Record) and not isinstance(record, SessionHeader)]


def texts_of(disk: FakeDisk, folder: Path, key: SessionKey = KEY) -> list[str]:
    return [record.content for record in records_of(disk, folder, key) if isinstance(record, UserMessage)]


def keys_of(disk: Disk, folder: Path) -> list[SessionKey | None]:
    """Return whose files there are."""
    return [find_key(disk.start(folder / name)[1], folder / name) for name in disk.names(folder)]


def waiting_texts(view: Transcript) -> list[str]:
    return [message.content for message in view.pending.values()]


async def reached(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.reached.wait, 30)


def everything(disk: Disk, path: Path) -> bytes:
    """Return all bytes of a file."""
    length, _ = disk.start(path)
    return b"\n".join(reversed(list(disk.lines_backwards(path, length))))
