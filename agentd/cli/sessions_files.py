"""Finds the workspace's session files, and the one that a name on the command line means."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agentd.cli.screen import clean
from agentd.errors import AgentdError, WorkspaceBusy
from agentd.log import configure_log
from agentd.service.workspace import hold_workspace
from agentd.settings import Settings, load_settings
from agentd.transcript.clock import format_time
from agentd.transcript.lines import read_whole_lines

__all__ = ["Overview", "alone_in", "find_session", "list_files", "load", "oversee", "plain_faults"]

MOST_CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class Overview:
    """A session as `list` shows it."""

    key: str
    file: str
    messages: int
    updated: str


class _Head(msgspec.Struct):
    type: str = "message"
    role: str | None = None
    ts: str = ""


_decoder = msgspec.json.Decoder(_Head)


@contextmanager
def plain_faults() -> Iterator[None]:
    """Turn an OSError into one line for the operator."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise AgentdError(clean(f"{fault.filename or 'sessions'}: {fault.strerror or fault}")) from fault


@contextmanager
def alone_in(workspace: Path) -> Iterator[WorkspaceBusy | None]:
    """Hold the workspace's lock for the block; if a daemon holds it, yield the error to raise unless that daemon can be
    asked.
    """
    with ExitStack() as stack:
        busy: WorkspaceBusy | None = None
        try:
            stack.enter_context(hold_workspace(workspace))
        except WorkspaceBusy as fault:
            busy = fault
        yield busy


def load(config: Path | None) -> Settings:
    """Load the settings as the daemon does, and log to stderr."""
    settings = load_settings(config, os.environ)
    configure_log(settings.log, sys.stderr)
    return settings


def list_files(workspace: Path) -> list[Path]:
    """Return the session files, sorted by name; none if the workspace is missing. Links are no session files."""
    try:
        with os.scandir(workspace / "sessions") as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    return sorted(found)


def find_session(workspace: Path, words: str) -> Path:
    """Return the file with this name, or the only one whose name begins with it, or contains it."""
    files = list_files(workspace)
    wanted = words.removesuffix(".jsonl").lower()
    for fits in (wanted.__eq__, lambda name: name.startswith(wanted), lambda name: wanted in name):
        found = [path for path in files if fits(path.stem.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(path.stem for path in found[:MOST_CANDIDATES])
            more = f" and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
            raise AgentdError(clean(f"{words} could be {names}{more}: say more of the name"))
    raise AgentdError(clean(f"no session is called {words}: agentd sessions list shows them"))


def oversee(path: Path) -> Overview:
    """Count a session's messages, and find the time of its last record. Raises OSError."""
    messages, updated = 0, ""
    for block in read_whole_lines(path):
        lines = block.split(b"\n")
        heads = (_head(line) for line in lines if b'"role"' in line)
        messages += sum(head is not None and head.type == "message" and head.role in _SPEAKERS for head in heads)
        dated = (head.ts for line in reversed(lines) if (head := _head(line)) is not None and head.ts)
        updated = next(dated, updated)
    if not updated:
        updated = format_time(datetime.fromtimestamp(path.lstat().st_mtime, UTC))
    return Overview(path.stem, str(path), messages, updated)


_SPEAKERS = ("user", "assistant")


def _head(line: bytes) -> _Head | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
