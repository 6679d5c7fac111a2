"""Searches every file of a workspace for what is left of a person after an erasure.

In an undamaged session file the records tell whose they are: what is left there is what would be erased. A text of the
person's in such a file is also somebody else's (a greeting, a quotation); it stays, cannot be told apart elsewhere, and
is therefore counted and not looked for in other files. Everything else is searched byte by byte, journals included, and
databases row by row too, since pages of the file may cut a long text.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from agentd.people.needles import Needles
from agentd.people.stores import Ids, ids_of
from agentd.transcript.erasing import Stamp
from agentd.transcript.erasure import find_theirs, key_of, look_at
from agentd.transcript.lines import read_blocks
from agentd.transcript.mending import examine
from memory.outside import read_from_outside

__all__ = ["Left", "Sought", "search"]

OVERLAP_BYTES = 4096
"""Longer than any piece that is looked for."""

SPAN_BYTES = 128 << 10

_DATABASE = re.compile(r"\.db(-wal|-shm|-journal)?$")


@dataclass(frozen=True, slots=True)
class Sought:
    """What to look for."""

    senders: frozenset[str]
    texts: frozenset[str]
    """What the person wrote and was told."""
    learnt: frozenset[str] = frozenset()
    """What memory learnt from that; in its own database memory checks this itself, as others' entries may read the
    same.
    """


@dataclass(frozen=True, slots=True)
class Left:
    """The result of a search."""

    remaining: tuple[str, ...]
    """Where something of the person's is left, in words."""
    shared: int
    """How many of their texts others have too."""
    files: int
    """How many files were searched."""


def search(workspace: Path, sought: Sought) -> Left:
    """Search every file below a workspace. Raises OSError."""
    ids = ids_of(sought.senders)
    files = sorted(_files(workspace))
    sound = {path for path in files if path.parent.name == "sessions" and _is_sound(path)}
    everything = Needles(sought.senders, sought.texts | sought.learnt)
    suspects = sound.intersection(path for path, _ in find_theirs(workspace / "sessions", ids))
    remaining = [f"{_name(path, workspace)}: records of theirs" for path in suspects if _has_theirs(path, ids)]
    shared = {text for path in sound for span in _spans(path) for text in everything.find_texts(span)}
    needles = Needles(sought.senders, (sought.texts | sought.learnt) - shared)
    in_memory = Needles(sought.senders, sought.texts - shared)
    for path in files:
        name = _name(path, workspace)
        if everything.has_id(f"~{name}".encode("utf-8", "surrogateescape")):
            remaining.append(f"{name}: its name")
        if path not in sound:
            is_memory = path.parent == workspace and path.name.startswith("memory.db")
            found = _look(path, in_memory if is_memory else needles)
            remaining += [f"{name}: {what}" for what in found]
    return Left(tuple(sorted(remaining)), len(shared), len(files))


def _files(workspace: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(workspace):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _name(path: Path, workspace: Path) -> str:
    return path.relative_to(workspace).as_posix()


def _is_sound(path: Path) -> bool:
    return path.suffix == ".jsonl" and not any(finding.is_damage for finding in examine(path))


def _has_theirs(path: Path, ids: Ids) -> bool:
    key = key_of(path)
    return key is not None and look_at(path, key, ids, Stamp("", "")) is not None


def _look(path: Path, needles: Needles) -> list[str]:
    """Return what is left in a file, in words."""
    is_database = _DATABASE.search(path.name) is not None
    has_id, texts = _find(_overlapping(read_from_outside(path, SPAN_BYTES)) if is_database else _spans(path), needles)
    if path.suffix == ".db":
        in_rows, more = _find(_rows(path), needles)
        has_id, texts = has_id or in_rows, texts | more
    found = ["their id"] if has_id else []
    return [*found, f"{len(texts)} of their texts"] if texts else found


def _find(spans: Iterable[bytes], needles: Needles) -> tuple[bool, set[str]]:
    has_id, texts = False, set[str]()
    for span in spans:
        has_id = has_id or needles.has_id(span)
        texts |= needles.find_texts(span)
    return has_id, texts


def _spans(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in overlapping spans; nothing of one that was removed meanwhile."""
    with suppress(FileNotFoundError):
        yield from _overlapping(read_blocks(path, 0, path.lstat().st_size))


def _overlapping(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield short spans, each beginning with the end of the one before; short, so that the daemon keeps running."""
    rest = b""
    for block in blocks:
        for start in range(0, len(block), SPAN_BYTES):
            span = rest + block[start : start + SPAN_BYTES]
            yield span
            rest = span[-OVERLAP_BYTES:]


def _rows(path: Path) -> Iterator[bytes]:
    """Yield the values in a database's rows; tables that cannot be read are skipped."""
    gathered: list[bytes] = []
    size = 0
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        tables: list[bytes] = []
        with suppress(sqlite3.Error):
            tables += [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            quoted = table.decode().replace('"', '""')
            with suppress(sqlite3.Error):
                for row in connection.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - a name out of the database
                    values = [value for value in row if isinstance(value, bytes)]
                    gathered += values
                    size += sum(map(len, values))
                    if size > SPAN_BYTES:
                        yield b"\0".join(gathered)
                        gathered, size = [], 0
    yield b"\0".join(gathered)
