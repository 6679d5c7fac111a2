"""`sessions verify` and `sessions repair`: what is damaged, and its way to the quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agentd.cli.screen import clean, print_array, print_lines
from agentd.transcript.clock import format_time, utc_now
from agentd.transcript.lines import read_lines
from agentd.transcript.repair import repair_file
from agentd.transcript.verify import Finding, verify

__all__ = ["repair_files", "report_findings"]

MOST_READS = 3
"""A file that a daemon appends to is read again where its last record may have been half written."""


def report_findings(files: Iterable[Path], *, as_json: bool) -> int:
    """Print what is to be said about each file, a line each; return how many files are damaged. Raises OSError."""
    damaged: set[Path] = set()
    found = _found(files, damaged)
    if as_json:
        print_array(
            {"file": str(path), "line": finding.line, "damage": finding.is_damage, "text": finding.text}
            for path, finding in found
        )
    else:
        print_lines(_sentence(path, finding) for path, finding in found)
    return len(damaged)


def repair_files(files: Iterable[Path]) -> int:
    """Repair each file that needs it and say what was done; return how many are damaged still. Raises OSError."""
    damaged = 0
    for path in files:
        mended = repair_file(path, format_time(utc_now()))
        if mended.path != path:
            print_lines([clean(f"{path.name}: is now {mended.path.name}, as the key in it says")])
        if mended.quarantine is not None:
            count = sum(lost.end - lost.start for lost in mended.lost)
            print_lines([clean(f"{mended.path.name}: {count} damaged bytes moved to {mended.quarantine}")])
        if mended.stand_ins:
            print_lines([clean(f"{mended.path.name}: {mended.stand_ins} records stand in for those that are lost")])
        left = [finding for finding in _findings(mended.path) if finding.is_damage]
        print_lines(f"{_sentence(mended.path, finding)} (not repaired)" for finding in left)
        damaged += bool(left)
    return damaged


def _found(files: Iterable[Path], damaged: set[Path]) -> Iterator[tuple[Path, Finding]]:
    for path in files:
        for finding in _findings(path):
            if finding.is_damage:
                damaged.add(path)
            yield path, finding


def _findings(path: Path) -> list[Finding]:
    """Examine a file, once more where it grew meanwhile: a daemon may have been in the middle of a record."""
    found: list[Finding] = []
    for _ in range(MOST_READS):
        size = path.lstat().st_size
        found = list(verify(path.stem, lambda: read_lines(path)))
        if path.lstat().st_size == size:
            break
    return found


def _sentence(path: Path, finding: Finding) -> str:
    note = "" if finding.is_damage else "note: "
    return clean(f"{path}:{finding.line}: {note}{finding.text}")
