"""This module reads all conversations on disk, while the daemon runs and at the end, to know when all is done."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.memory_looks import look_at
from tests.soak.models import NAME

__all__ = ["Books", "Range", "SessionFile", "read_entries", "read_learnt", "read_session"]

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionFile:
    """One file, line by line."""

    name: str
    records: Sequence[Record]
    torn: int = 0
    """Lines that are no records."""
    is_closed: bool = True
    """Whether the last line has its end."""

    @property
    def channel(self) -> str:
        """The platform that it is of."""
        return str(self.records[0]["key"]["channel"])

    @property
    def asked(self) -> list[tuple[str, Record]]:
        """The questions on record, by their names."""
        found = ((NAME.search(record["content"]), record) for record in self.records if record.get("role") == "user")
        return [(name[0], record) for name, record in found if name]

    @property
    def ends(self) -> list[Record]:
        """The answers and failures."""
        return [one for one in self.records if one.get("role") == "assistant" or one["type"] == "failure"]

    @property
    def deliveries(self) -> list[Record]:
        """What the platform confirmed."""
        return [one for one in self.records if one["type"] == "delivery"]

    @property
    def is_idle(self) -> bool:
        """Whether each question has its end, and each end that is told is delivered."""
        ended = {seq for end in self.ends for seq in end.get("answers", ())}
        delivered = {delivery["of"] for delivery in self.deliveries}
        told = {end["seq"] for end in self.ends if end.get("told", True)}
        return told <= delivered and all(record["seq"] in ended for _, record in self.asked)


@dataclass(frozen=True, slots=True)
class Range:
    """Some messages of one session, from the first to the last: what was learnt, or an entry of the history."""

    session: str
    first: int
    last: int


@dataclass
class Books:
    """All session files, each read again only when it has changed."""

    workspace: Path
    _known: dict[Path, tuple[tuple[int, int], SessionFile]] = field(default_factory=dict)

    @property
    def files(self) -> list[SessionFile]:
        """Read them."""
        for path in sorted((self.workspace / "sessions").glob("*.jsonl")):
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                self._known[path] = stamp, read_session(path.stem, path.read_bytes())
        return [file for _, file in self._known.values()]

    def is_settled(self, names: Collection[str]) -> bool:
        """Tell whether all these questions are on record and ended, and no task waits."""
        files = self.files
        taken = {name for file in files for name, _ in file.asked}
        return taken >= set(names) and all(file.is_idle for file in files) and not look_at(None, self.workspace).waiting


def read_session(name: str, content: bytes) -> SessionFile:
    """Take a file apart."""
    records: list[Record] = []
    torn = 0
    for line in content.splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            torn += 1
    return SessionFile(name, records, torn, content.endswith(b"\n"))


def read_learnt(workspace: Path) -> list[Range]:
    """Return what memory is done with."""
    return [Range(*learnt) for learnt in look_at(None, workspace).learnt]


def read_entries(workspace: Path) -> list[Range]:
    """Return for each entry of the history what it tells of."""
    path = workspace / "memory.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT session, first, last FROM entry WHERE kind = 'daily'").fetchall()
    return [Range(str(session), int(first), int(last)) for session, first, last in found]
