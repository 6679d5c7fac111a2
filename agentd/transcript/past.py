"""Reading what was said whether or not the prompt still has it: `/new` and summaries take turns out of it, not away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import structlog

from agentd.transcript.disk import Disk
from agentd.transcript.faults import is_of_one_file
from agentd.transcript.records import (
    AssistantMessage,
    Compaction,
    Damaged,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    parse_line,
)
from agentd.transcript.view import Turn, fold

__all__ = ["TURNS_BEFORE", "load_past"]

TURNS_BEFORE = 10
"""So many are read from before what was asked for: what they say tells what the later ones only repeat."""

_FRAMES = (SessionHeader, Reset, Compaction, Undo, Damaged, Unknown)

log = structlog.get_logger()


def load_past(disk: Disk, path: Path, length: int, after: int, since: str) -> list[Turn]:
    """Return the turns with messages behind a seq and not older than a time, with some from before them.

    They are read from the end of a file of so many bytes, as if nothing had ever been reset or summarised. Where a part
    of this file alone cannot be read, not the second time either, that is logged, and ends the reading. Raises OSError.
    """
    try:
        return fold(reversed(list(_said(disk, path, length, after, since)))).turns
    except OSError as fault:
        if isinstance(fault, FileNotFoundError) or not is_of_one_file(fault):
            raise
    found: list[Record] = []
    try:
        found.extend(_said(disk, path, length, after, since))
    except OSError as fault:
        if not is_of_one_file(fault):
            raise
        log.error("older_messages_not_readable", session=path.stem, fault=str(fault), read=len(found))
    return fold(reversed(found)).turns


def _said(disk: Disk, path: Path, length: int, after: int, since: str) -> Iterator[Record]:
    before = 0
    for line in disk.lines_backwards(path, length):
        record = parse_line(line) if line.strip() else None
        if record is None or isinstance(record, _FRAMES):
            continue
        yield record
        if isinstance(record, AssistantMessage) and (record.seq <= after or record.ts < since):
            before += 1
            if before > TURNS_BEFORE:
                return
