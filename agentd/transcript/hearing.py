"""Finds when each session of a channel last heard from a person, to ask the platform for messages missed since.

The newest message or command of a file tells, nearly always within the first block read from its end. So does the
`erased` record of an erased person's message, so that it is not fetched again. What a repair left has the time of the
record before it, and tells nothing.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple, get_args

import structlog

from agentd.transcript.clock import parse_time
from agentd.transcript.disk import Disk
from agentd.transcript.key import ERASED, SessionKey, parse_file_name
from agentd.transcript.reading import find_key
from agentd.transcript.records import Command, Erased, Record, UserMessage, parse_line

__all__ = ["Heard", "find_heard"]

_DATED = get_args(Record)

log = structlog.get_logger()


class Heard(NamedTuple):
    """A session, and when the newest message in its file was sent, by its platform's clock (aware, UTC)."""

    key: SessionKey
    last_sent_at: datetime


def find_heard(disk: Disk, folder: Path, channel: str) -> list[Heard]:
    """Return this for every session of a channel; a file that cannot be read is logged and left out.

    Raises OSError if there is no folder.
    """
    prefix = SessionKey(channel, "", "").file_name.split("~")[0] + "~"
    found = []
    for name in disk.names(folder):
        if not name.startswith(prefix):
            continue
        try:
            heard = _look(disk, folder / name)
        except OSError as fault:
            log.error("session_not_readable", session=Path(name).stem, fault=str(fault))
            continue
        if heard is not None:
            found.append(heard)
    return found


def _look(disk: Disk, path: Path) -> Heard | None:
    key = parse_file_name(path.stem) or find_key(disk.start(path)[1], path)
    if key is None or key.file_name != path.stem or key.chat.startswith(ERASED):
        return None
    size = disk.tail(path.parent, path.name, 0).stamp.size
    erased_at = ""
    for line in disk.lines_backwards(path, size):
        record = parse_line(line) if line.strip() else None
        if isinstance(record, Erased):
            erased_at = erased_at or record.ts
            continue
        sent_at = ""
        if isinstance(record, UserMessage | Command) and record.source is not None:
            sent_at = record.source.sent_at
        if isinstance(record, _DATED) and erased_at not in ("", record.ts):
            sent_at = max(sent_at, erased_at)
        if sent_at:
            moment = parse_time(sent_at)
            return Heard(key, moment) if moment else None
        erased_at = ""
    return None
