"""Lists all people: everybody who wrote, was let in or asked to be, was linked, is remembered, or has a task."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agentd.people.stores import Stores
from agentd.transcript.erasure import key_of, session_files
from agentd.transcript.key import ERASED, SessionKey, parse_file_name
from agentd.transcript.lines import read_lines

__all__ = ["Person", "count_people"]


@dataclass(frozen=True, slots=True)
class Person:
    """A person as `agentd people list` shows it."""

    person: str
    """The first of the senders' ids."""
    senders: tuple[str, ...]
    sessions: int
    messages: int


class _Author(msgspec.Struct):
    id: str


class _Source(msgspec.Struct):
    author: _Author


class _Spoken(msgspec.Struct):
    type: str = "message"
    source: _Source | None = None


_decoder = msgspec.json.Decoder(_Spoken)


async def count_people(stores: Stores) -> list[Person]:
    """Return all people, sorted by their ids. Raises OSError and StorageError."""
    messages, sessions = await asyncio.to_thread(_count, stores.folder)
    known = set(messages) | set(sessions)
    for is_paired in (True, False):
        entries = await stores.state.pairings.entries(paired=is_paired)
        known |= {f"{entry.channel}:{entry.sender}" for entry in entries}
    if stores.queue is not None:
        keys = [parse_file_name(entry.session or "") for entry in await stores.queue.entries()]
        known |= {sender for key in keys if key is not None and (sender := _owner(key))}
    known |= {sender for group in stores.state.people.linked for sender in group}
    known |= set(await stores.memory.people()) if stores.memory else set()
    groups = {stores.state.people.senders_of(sender) for sender in known}
    return [
        Person(
            min(group),
            tuple(sorted(group)),
            sum(sessions[sender] for sender in group),
            sum(messages[sender] for sender in group),
        )
        for group in sorted(groups, key=min)
    ]


def _count(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Return how many messages and commands each sender wrote, and in how many sessions."""
    messages: Counter[str] = Counter()
    sessions: Counter[str] = Counter()
    for path in session_files(folder):
        try:
            key = key_of(path)
            if key is None:
                continue
            found = Counter(f"{key.channel}:{author}" for author in _authors(path))
        except FileNotFoundError:
            continue  # it was renamed meanwhile
        messages.update(found)
        sessions.update({*found, *filter(None, [_owner(key)])})
    return messages, sessions


def _owner(key: SessionKey) -> str | None:
    """Return the sender in a session's key, if it has one who is not erased."""
    return None if key.sender is None or key.sender.startswith(ERASED) else f"{key.channel}:{key.sender}"


def _authors(path: Path) -> Iterator[str]:
    for line in read_lines(path):
        if not line.content or b'"author"' not in line.content:
            continue
        try:
            spoken = _decoder.decode(line.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if spoken.source is not None and spoken.type in ("message", "command"):
            yield spoken.source.author.id
