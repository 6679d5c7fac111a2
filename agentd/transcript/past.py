"""Reads turns from a session's file that the prompt no longer holds: `/new` and summaries remove none from the file."""

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
"""How many turns before the requested ones are read too: they tell what the later ones only repeat."""

_FRAMES = (SessionHeader, Reset, Compaction, Undo, Damaged, Unknown)

log = structlog.get_logger()


def load_past(disk: Disk, path: Path, length: int, after: int, since: str) -> list[Turn]:
    """Return the turns with messages after a seq and not older than `since`, with some turns from before them.

    The first `length` bytes of the file are read from their end, as if nothing had ever been reset or summarised. If a
    part of this file alone cannot be read, on a second try either, that is logged and ends the reading. Raises OSError.
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
