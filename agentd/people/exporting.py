"""Exports everything that is kept of a person, as JSON objects, one after the other."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from agentd.people.stores import Ids, Stores, ids_of
from agentd.transcript.erasing import Erasure, Stamp
from agentd.transcript.erasure import find_theirs, look_at
from agentd.transcript.key import parse_file_name
from agentd.transcript.lines import read_lines
from agentd.transcript.records import UNNUMBERED, Damaged, parse_line

__all__ = ["export_person"]

Item = Mapping[str, object]


async def export_person(person: str, stores: Stores) -> AsyncIterator[Item]:
    """Yield what is kept of a person, known by any of their ids. Raises OSError, StorageError and MemoryFault."""
    senders = stores.state.people.senders_of(person)
    ids = ids_of(senders)
    yield {"kind": "person", "person": min(senders), "senders": sorted(senders)}
    async for item in _of_state(senders, stores):
        yield item
    sessions: set[str] = set()
    found = await asyncio.to_thread(lambda: list(find_theirs(stores.folder, ids)))
    for path, key in found:
        erasure = await asyncio.to_thread(look_at, path, key, ids, Stamp("", ""))
        if erasure is not None:
            sessions.add(path.stem)
            for item in _of_session(path, erasure):
                yield item
    if stores.memory is not None:
        for memory in await stores.memory.export(senders):
            yield {"kind": "memory", **_plain(asdict(memory))}
    if stores.queue is not None:
        for entry in await stores.queue.entries():
            if entry.session in sessions or _is_theirs(entry.session, ids):
                yield {"kind": "task", **asdict(entry)}


async def _of_state(senders: frozenset[str], stores: Stores) -> AsyncIterator[Item]:
    for is_paired in (True, False):
        for entry in await stores.state.pairings.entries(paired=is_paired):
            if f"{entry.channel}:{entry.sender}" in senders:
                yield {"kind": "pairing", **asdict(entry)}
    for day, sender, tokens in await stores.state.usage.spent_by(senders):
        yield {"kind": "usage", "day": day, "sender": sender, "tokens": tokens}


def _of_session(path: Path, erasure: Erasure) -> Iterator[Item]:
    """Yield the person's records and files; in a session of theirs alone, all of them."""
    next_seq = 0
    for line in read_lines(path):
        record = parse_line(line.content) if line.content and line.content.strip() else None
        if record is None or isinstance(record, Damaged):
            continue
        seq = next_seq if record.seq == UNNUMBERED else record.seq
        next_seq = max(next_seq, seq + 1)
        if erasure.is_whole or seq in erasure.changed:
            yield {"kind": "record", "session": path.stem, "record": json.loads(line.content or b"null")}
    files = path.with_suffix(".files")
    if files.is_dir():
        for file in sorted(files.iterdir()):
            if file.is_file() and (erasure.is_whole or file.name in erasure.attachments):
                content = base64.b64encode(file.read_bytes()).decode()
                yield {"kind": "file", "session": path.stem, "path": file.name, "base64": content}


def _is_theirs(session: str | None, ids: Ids) -> bool:
    key = parse_file_name(session or "")
    return key is not None and key.sender is not None and key.sender in ids.get(key.channel, frozenset())


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values in JSON's types."""
    plain: dict[str, object] = json.loads(json.dumps(values, default=str))
    return plain
