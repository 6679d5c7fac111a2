"""Examines and repairs one session file, and describes in lines of text what was found and done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentd.transcript.lines import read_lines
from agentd.transcript.repair import Mended, repair_file
from agentd.transcript.verify import Finding, verify

__all__ = ["Outcome", "examine", "mend", "refused", "say_finding", "say_refused"]

MOST_READS = 3
"""How often a growing file is read again: a daemon may be appending, so its last record may look half written."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to a file, in lines of text, and whether it is still damaged."""

    lines: tuple[str, ...]
    is_damaged: bool


def examine(path: Path) -> list[Finding]:
    """Examine a file; if it grew meanwhile, examine it again, since a daemon may have been in the middle of a
    record.
    """
    found: list[Finding] = []
    for _ in range(MOST_READS):
        size = path.lstat().st_size
        found = list(verify(path.stem, lambda: read_lines(path)))
        if path.lstat().st_size == size:
            break
    return found


def mend(path: Path, ts: str) -> Outcome:
    """Repair a file if it needs it, with `ts` as the time of new records. Raises OSError."""
    mended = repair_file(path, ts)
    left = [finding for finding in examine(mended.path) if finding.is_damage]
    lines = (*_done(path, mended), *(f"{say_finding(mended.path, finding)} (not repaired)" for finding in left))
    return Outcome(lines, is_damaged=bool(left))


def refused(path: Path, fault: OSError) -> Outcome:
    """Say that a file cannot be repaired further; it counts as damaged."""
    return Outcome((f"{path}: {say_refused(path, fault)} (not repaired)",), is_damaged=True)


def say_refused(path: Path, fault: OSError) -> str:
    """Say why a file cannot be examined or repaired, and which other file is at fault, if it is another."""
    about = os.fsdecode(fault.filename) if fault.filename else str(path)
    reason = fault.strerror or str(fault)
    return reason if about == str(path) else f"{about}: {reason}"


def say_finding(path: Path, finding: Finding) -> str:
    """Say what was found in a file, and where."""
    note = "" if finding.is_damage else "note: "
    place = f"{path}:{finding.line}" if finding.line else str(path)
    return f"{place}: {note}{finding.text}"


def _done(path: Path, mended: Mended) -> Iterator[str]:
    if mended.path != path:
        yield f"{path.name}: is now {mended.path.name}, as the key in it says"
    if mended.quarantine is not None:
        count = sum(lost.end - lost.start for lost in mended.lost)
        yield f"{mended.path.name}: {count} damaged bytes moved to {mended.quarantine}"
    if mended.stand_ins:
        yield f"{mended.path.name}: {mended.stand_ins} records stand in for those that are lost"
    if mended.settled:
        yield f"{mended.path.name}: {mended.settled} records count as settled, since a later turn was delivered"
