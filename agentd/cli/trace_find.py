"""Finds the one message that an id means, in the session files; searched as bytes first, so a year of them takes a
second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentd.cli.screen import clean
from agentd.cli.sessions_files import find_session, list_files
from agentd.errors import AgentdError
from agentd.transcript.lines import read_lines, read_whole_lines
from agentd.transcript.records import Record, parse_line
from agentd.transcript.way import Way, follow, numbered, seqs_for

__all__ = ["Found", "find_by_id", "find_by_seq"]

MOST_CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A message, and the file that holds it."""

    path: Path
    way: Way


def find_by_seq(workspace: Path, session: str, seq: int) -> Found:
    """Return the message with this seq of a session. Raises AgentdError if there is none, and OSError."""
    path = find_session(workspace, session)
    way = follow(_records(path), seq)
    if way is None:
        raise AgentdError(clean(f"record {seq} of {path.stem} is no message: agentd sessions show names them (#1)"))
    return Found(path, way)


def find_by_id(workspace: Path, wanted: str) -> Found:
    """Return the message with this trace or platform id; a reply's id leads to the message that it answers.

    Raises AgentdError if none has it or several do, and OSError.
    """
    found = [
        Found(path, way)
        for path in _holding(list_files(workspace), wanted)
        for seq in seqs_for(wanted, _records(path))
        if (way := follow(_records(path), seq)) is not None
    ]
    # A copy, or a file that was set aside, holds the message too: prefer the file whose name matches its key.
    own = [one for one in found if one.way.key is not None and one.way.key.file_name == one.path.stem]
    found = own or found
    if len(found) == 1:
        return found[0]
    if found:
        several = "; ".join(f"trace {one.way.message.trace} in {one.path.stem}" for one in found[:MOST_CANDIDATES])
        more = f" and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
        raise AgentdError(clean(f"{wanted} is the id of several messages: {several}{more}. Give one of these traces"))
    raise AgentdError(
        clean(
            f"no message on disk has the id {wanted}. What was not let in leaves no record: look for the id in the "
            "daemon's log, where message_refused is an unknown sender (agentd pair list), message_limited one who "
            "writes too fast (gate.messages_per_minute), and message_not_accepted a disk that refused. A message of "
            "an erased person, or of a run without session_persistence, cannot be found either"
        )
    )


def _holding(files: list[Path], wanted: str) -> Iterator[Path]:
    """Yield the files that contain the id as a JSON text."""
    needle = json.dumps(wanted, ensure_ascii=False).encode("utf-8", "surrogatepass")
    for path in files:
        if any(needle in block for block in read_whole_lines(path)):
            yield path


def _records(path: Path) -> Iterator[Record]:
    return numbered(
        parse_line(line.content) for line in read_lines(path) if line.content is not None and line.content.strip()
    )
