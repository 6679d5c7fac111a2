"""Finds the sessions with pending work at a start (recovery), reading only the end of files not known to be settled.

A settled session cannot get work without a write, and a write changes the file's stamp. So a file with the stamp that
was kept for it is not opened. Of the others the last 4 KiB are read, and 64 KiB if needed, which nearly always prove
them settled; otherwise the live part is loaded.

A file that cannot be read, on a second try either, counts as unfinished if its name holds the key: opening its session
then does what can be done about the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agentd.transcript.clock import parse_time
from agentd.transcript.disk import Disk, Stamp
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.reading import find_key, load
from agentd.transcript.settling import is_settled_end

__all__ = ["Searched", "read_key", "search"]

TAIL_BYTES = 4 * 1024
"""How much of a file's end is read first: most turns fit into it."""

LONG_TAIL_BYTES = 64 * 1024
"""How much is read if that was not enough."""

CLOCKS_APART_SECONDS = 1
"""A file's stamp is of the system's clock, which may be coarser than that of the records."""

log = structlog.get_logger()


@dataclass(slots=True)
class Searched:
    """The result of a search."""

    unfinished: list[SessionKey] = field(default_factory=list)
    settled: dict[str, Stamp] = field(default_factory=dict)
    """Files that were read and have nothing left to do."""
    gone: frozenset[str] = frozenset()
    """Names that were known but have no file any more."""

    def changed_since(self, moment: str) -> list[str]:
        """Return the settled files that may hold something written at this time (in a record's form) or later."""
        since = parse_time(moment)
        least = (since.timestamp() - CLOCKS_APART_SECONDS) * 1e9 if since else 0
        return [name for name, (_, changed) in self.settled.items() if changed >= least]


def search(disk: Disk, folder: Path, known: Mapping[str, tuple[int, int]]) -> Searched:
    """Search the files of a folder whose stamp is not the known one. Raises OSError if there is no folder."""
    searched = Searched()
    if known:
        stamps = disk.stamps(folder)
        names = [name for name, stamp in stamps.items() if known.get(name) != stamp]
        searched.gone = frozenset(known.keys() - stamps.keys())
    else:
        names = disk.names(folder)
    for name in names:
        try:
            _search_file(disk, folder, name, searched)
        except OSError:
            _search_again(disk, folder, name, searched)
    return searched


def _search_again(disk: Disk, folder: Path, name: str, searched: Searched) -> None:
    """Search a file once more that could not be read a moment ago."""
    try:
        _search_file(disk, folder, name, searched)
    except OSError as fault:
        log.error("session_not_readable", session=Path(name).stem, fault=str(fault))
        key = parse_file_name(Path(name).stem)
        if key is not None:
            searched.unfinished.append(key)


def _search_file(disk: Disk, folder: Path, name: str, searched: Searched) -> None:
    stamp, is_settled, is_whole = _look(disk, folder, name, TAIL_BYTES)
    if not is_settled and not is_whole:
        stamp, is_settled, _ = _look(disk, folder, name, LONG_TAIL_BYTES)
    if not is_settled:
        path = folder / name
        key = read_key(disk, path)
        if key is None:
            return
        if not load(disk, path, stamp.size, most_characters=0).view.is_idle:
            searched.unfinished.append(key)
            return
    searched.settled[name] = stamp


def _look(disk: Disk, folder: Path, name: str, most: int) -> tuple[Stamp, bool, bool]:
    """Return a file's stamp, whether its last `most` bytes prove it settled, and whether they are the whole file."""
    stamp, end = disk.tail(folder, name, most)
    is_whole = len(end) == stamp.size
    return stamp, is_settled_end(end, is_whole=is_whole), is_whole


def read_key(disk: Disk, path: Path) -> SessionKey | None:
    """Return whose file this is; None, which is logged, if that is unknown or the file has another session's name."""
    length, start = disk.start(path)
    if not length:
        return None
    key = find_key(start, path)
    if key is None:
        log.error("session_not_known", file=path.name, advice="its header is lost: see agentd sessions verify")
    elif path.stem != key.file_name:
        log.warning("session_file_ignored", file=path.name, belongs_to=f"{key.file_name}.jsonl")
        return None
    return key
