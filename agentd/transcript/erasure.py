"""Erases a person from session files, step by step as `erasing` planned, so that a crash leaves no half.

Files beside a session that may hold the person's words go first. Then the session is written beside itself, flushed,
and takes the old one's place by one rename; a session of the person alone then gets the name of its new key. Until the
last step the file shows whose it is, or that a rename is due: doing an interrupted erasure again finishes it.

Damage is repaired first, so that what cannot be read lies beside the file. Quarantine, copies that were set aside, and
what an import or a repair left unfinished are removed as a whole if the person spoke in the session, or is named in
them: nobody can tell whose words damaged bytes are.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agentd.transcript.erasing import Erasure, Stamp, erase_lines, plan_erasure
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.lines import read_blocks, read_lines
from agentd.transcript.mending import examine
from agentd.transcript.reading import find_key
from agentd.transcript.records import UserMessage, parse_line
from agentd.transcript.repair import HEAD_BYTES, flush_folder, own_as, rename_to_key, repair_file

__all__ = ["ErasedFile", "erase_file", "erase_orphans", "find_theirs", "holds_any", "key_of", "look_at"]

Ids = Mapping[str, frozenset[str]]
"""A person's ids, by channel."""

WRITTEN = ".erased"
"""The suffix of the new file until it takes the old one's name."""


@dataclass(frozen=True, slots=True)
class ErasedFile:
    """What was done to one session."""

    path: Path
    """Where the file is now."""
    records: int = 0
    is_whole: bool = False
    removed: tuple[str, ...] = ()
    """Names of the files that were removed as a whole."""
    texts: frozenset[str] = frozenset()


def find_theirs(folder: Path, ids: Ids) -> Iterator[tuple[Path, SessionKey]]:
    """Yield the session files that may hold something of the person's, and those that an erasure left half done.

    Raises OSError.
    """
    beside: dict[str, list[Path]] = {}
    for other in folder.iterdir() if folder.is_dir() else ():
        beside.setdefault(other.name.partition(".jsonl.")[0], []).append(other)
    for path in session_files(folder):
        try:
            key = key_of(path)
            if key is None:
                continue
            others = [other for other in beside.get(path.stem, ()) if other.name.startswith(f"{path.name}.")]
            if _is_half_done(path, key) or _may_be_theirs(path, key, ids, others):
                yield path, key
        except FileNotFoundError:
            continue  # it was renamed meanwhile


def look_at(path: Path, key: SessionKey, ids: Ids, stamp: Stamp) -> Erasure | None:
    """Return what would go of a session, without changing it. Raises OSError."""
    theirs = ids.get(key.channel, frozenset())
    is_named = any(holds_any(beside, _needles(theirs)) for beside in _beside(path))
    return plan_erasure(key, read_lines(path), theirs, stamp, is_named=is_named)


def erase_file(path: Path, ids: Ids, stamp: Stamp) -> ErasedFile:
    """Erase the person from one session. Raises OSError; doing it again then does the rest."""
    key = key_of(path)
    if key is None:
        return ErasedFile(path)
    if _is_half_done(path, key):
        removed = _remove_all(path)
        return ErasedFile(rename_to_key(path), is_whole=True, removed=removed)
    if any(finding.is_damage for finding in examine(path)):
        path = repair_file(path, stamp.now).path
    erasure = look_at(path, key, ids, stamp)
    needles = _needles(ids.get(key.channel, frozenset()))
    if erasure is None:
        return ErasedFile(path, removed=tuple(_remove_beside(path, needles)))
    removed = _remove_all(path) if erasure.is_whole else _remove_some(path, erasure)
    count = _write_anew(path, erasure)
    return ErasedFile(
        _rename(path, erasure.key) if erasure.is_whole else path, count, erasure.is_whole, removed, erasure.texts
    )


def erase_orphans(folder: Path, ids: Ids) -> tuple[str, ...]:
    """Remove what lies beside sessions that are gone or others', and names the person; return the file names."""
    removed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        name, dot, rest = path.name.partition(".jsonl.") if ".jsonl." in path.name else path.name.partition(".files")
        if not dot or path.is_symlink() or path.name.endswith(".jsonl"):
            continue
        key = parse_file_name(name)
        of_channel = ids.get(key.channel, frozenset()) if key else frozenset().union(*ids.values())
        is_theirs = key is not None and (key.sender in of_channel or (key.sender is None and key.chat in of_channel))
        is_left = dot == ".files" and not rest and is_theirs and not (folder / f"{name}.jsonl").exists()
        if is_left or (dot == ".jsonl." and (is_theirs or holds_any(path, _needles(of_channel)))):
            _remove(path)
            removed.append(path.name)
    if removed:
        flush_folder(folder)
    return tuple(removed)


def session_files(folder: Path) -> list[Path]:
    """Return the session files of a folder; none if there is no folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False)]
    return sorted(Path(entry.path) for entry in found)


def key_of(path: Path) -> SessionKey | None:
    """Return the key of a session file; the one inside it counts, not the name. Raises OSError."""
    return find_key(b"".join(read_blocks(path, 0, HEAD_BYTES)), path)


def holds_any(path: Path, needles: Collection[bytes]) -> bool:
    """Tell whether a file holds any of these byte strings, also across blocks; a folder holds nothing."""
    if not needles or not path.is_file():
        return False
    longest, rest = max(map(len, needles)), b""
    for block in read_blocks(path, 0, path.lstat().st_size):
        span = rest + block
        if any(needle in span for needle in needles):
            return True
        rest = span[-longest:]
    return False


def _may_be_theirs(path: Path, key: SessionKey, ids: Ids, beside: Iterable[Path]) -> bool:
    theirs = ids.get(key.channel)
    if theirs is None:
        return False
    if key.sender in theirs or (key.sender is None and key.chat in theirs):
        return True
    needles = _needles(theirs)
    return holds_any(path, needles) or any(holds_any(other, needles) for other in beside)


def _is_half_done(path: Path, key: SessionKey) -> bool:
    """Tell whether a session was erased but still has its old name."""
    return key.is_erased and key.file_name != path.stem


def _needles(ids: Iterable[str]) -> tuple[bytes, ...]:
    """Return the ids as records write them, and in the form with escaped quotes."""
    plain = [msgspec.json.encode(sender) for sender in ids]
    return (*plain, *(text.replace(b'"', b'\\"') for text in plain))


def _beside(path: Path) -> list[Path]:
    """Return the files beside a session that carry its name: quarantine, copies set aside, unfinished ones."""
    pattern = re.compile(re.escape(path.name) + r"\..+")
    return sorted(other for other in path.parent.iterdir() if pattern.fullmatch(other.name))


def _remove_all(path: Path) -> tuple[str, ...]:
    """Remove everything beside a session of the person alone, attachments included; return the names."""
    files = path.with_suffix(".files")
    gone = [*_beside(path), *([files] if os.path.lexists(files) else [])]
    for other in gone:
        _remove(other)
    if gone:
        flush_folder(path.parent)
    return tuple(other.name for other in gone)


def _remove_beside(path: Path, needles: Collection[bytes]) -> Iterator[str]:
    """Remove what lies beside a session without a word of the person's, and names the person; yield the names."""
    for other in _beside(path):
        if holds_any(other, needles):
            _remove(other)
            yield other.name


def _remove_some(path: Path, erasure: Erasure) -> tuple[str, ...]:
    """Remove what lies beside a shared session, the person's attachments, and those that no record names."""
    gone = _beside(path)
    files = path.with_suffix(".files")
    if files.is_dir() and not files.is_symlink():
        kept = _named(path) - erasure.attachments
        gone += [file for file in files.iterdir() if file.name not in kept]
    for other in gone:
        _remove(other)
    for folder in {other.parent for other in gone}:
        flush_folder(folder)
    return tuple(other.relative_to(path.parent).as_posix() for other in gone)


def _named(path: Path) -> set[str]:
    """Return the paths of the attachments that the session's messages name."""
    lines = (line.content for line in read_lines(path) if line.content and b'"attachments"' in line.content)
    messages = (record for content in lines if isinstance(record := parse_line(content), UserMessage))
    return {file.path for message in messages for file in message.attachments}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_anew(path: Path, erasure: Erasure) -> int:
    """Replace the session by its erased form, flushed; return how many records were erased."""
    written = path.with_name(f"{path.name}{WRITTEN}")
    written.unlink(missing_ok=True)
    count = 0
    fd = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        own_as(file.fileno(), path)
        for line in erase_lines(read_lines(path), erasure):
            file.write(line)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)
    flush_folder(path.parent)
    return count - 1 if erasure.is_whole else len(erasure.changed)


def _rename(path: Path, key: SessionKey) -> Path:
    target = path.with_name(f"{key.file_name}.jsonl")
    path.rename(target)
    flush_folder(path.parent)
    return target
