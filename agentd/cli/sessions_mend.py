"""`agentd sessions verify` and `repair`: reports damage, and moves damaged bytes to the quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agentd.cli.screen import clean, print_array, print_lines
from agentd.cli.sessions_files import find_session
from agentd.errors import WorkspaceBusy
from agentd.service.control_client import ask_daemon
from agentd.transcript.clock import format_time, utc_now
from agentd.transcript.mending import examine, mend, refused, say_finding, say_refused
from agentd.transcript.verify import Finding

__all__ = ["ask_for_repair", "repair_files", "report_findings"]


def report_findings(files: Iterable[Path], *, as_json: bool) -> int:
    """Print the findings about each file, a line each; return how many files are damaged or unreadable."""
    damaged: set[Path] = set()
    found = _found(files, damaged)
    if as_json:
        print_array(
            {"file": str(path), "line": finding.line, "damage": finding.is_damage, "text": finding.text}
            for path, finding in found
        )
    else:
        print_lines(clean(say_finding(path, finding)) for path, finding in found)
    return len(damaged)


def repair_files(files: Iterable[Path]) -> int:
    """Repair each file that needs it and say what was done; return how many are still damaged, or were refused."""
    damaged = 0
    for path in files:
        try:
            outcome = mend(path, format_time(utc_now()))
        except OSError as fault:
            outcome = refused(path, fault)
        print_lines(map(clean, outcome.lines))
        damaged += outcome.is_damaged
    return damaged


def ask_for_repair(workspace: Path, key: str | None, busy: WorkspaceBusy) -> int:
    """Let the daemon that holds the workspace repair one session or all; return 1 if damage is left.

    Raises `busy` if it cannot be asked.
    """
    name = None if key is None else find_session(workspace, key).stem
    code = ask_daemon(workspace, {"command": "repair", "name": name}, lambda line: print_lines([clean(line)]))
    if code is None:
        raise busy
    return code


def _found(files: Iterable[Path], damaged: set[Path]) -> Iterator[tuple[Path, Finding]]:
    for path in files:
        for finding in _examined(path):
            if finding.is_damage:
                damaged.add(path)
            yield path, finding


def _examined(path: Path) -> list[Finding]:
    try:
        return examine(path)
    except FileNotFoundError:  # it was listed, but a daemon has renamed it since
        return []
    except OSError as fault:
        return [Finding(0, f"cannot be read: {say_refused(path, fault)}")]
