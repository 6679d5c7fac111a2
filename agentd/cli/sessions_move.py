"""`agentd sessions export` and `import`: copies conversations out of the workspace, and foreign ones into it."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agentd.cli.screen import clean, print_lines
from agentd.cli.sessions_text import as_markdown
from agentd.errors import AgentdError
from agentd.service.control_client import ask_daemon
from agentd.transcript.clock import format_time, utc_now
from agentd.transcript.foreign import ForeignFile, KeyParts, derive_key
from agentd.transcript.importing import build_session, find_key_text, taken_text, write_session
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import read_blocks, read_lines

__all__ = ["Import", "export_session", "prepare_import"]


def export_session(path: Path, *, markdown: bool, output: Path | None) -> None:
    """Write a session's bytes, or its conversation as Markdown, to a new file (0600) or to stdout. Raises OSError."""
    blocks: Iterable[bytes] = read_blocks(path)
    if markdown:
        blocks = (f"{line}\n".encode() for line in as_markdown(path.stem, read_lines(path)))
    if output is None:
        sys.stdout.buffer.writelines(blocks)
        sys.stdout.buffer.flush()
        return
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.writelines(blocks)


@dataclass(frozen=True, slots=True)
class Import:
    """A conversation to import: its lines are made as they are read, and `foreign` counts them."""

    key: SessionKey
    target: Path
    lines: Iterator[bytes]
    foreign: ForeignFile

    def write(self) -> None:
        """Write the session. Raises OSError, and AgentdError if it exists already."""
        try:
            write_session(self.lines, self.target)
        except FileExistsError:
            raise AgentdError(taken_text(self.target)) from None

    def send(self, workspace: Path) -> int | None:
        """Send the finished lines to the daemon, which may not read the source; return None if there is no daemon."""
        with tempfile.TemporaryFile() as file:
            file.writelines(self.lines)
            request = {"command": "import", "key": msgspec.to_builtins(self.key), "size": file.tell()}
            file.flush()
            return ask_daemon(workspace, request, _print_line, file)

    def report(self) -> None:
        """Print what was imported and what was left out."""
        foreign = self.foreign
        lines = [
            f"messages imported: {foreign.users} of the user, {foreign.assistants} of the assistant",
            f"as {self.target}",
            *(f"left out: {what}, {count}" for what, count in sorted(foreign.left_out.items())),
        ]
        print_lines(map(clean, lines))


def prepare_import(source: Path, folder: Path, given: KeyParts, *, by_sender: bool) -> Import:
    """Read enough of a file to know that it can be imported. Raises OSError, and AgentdError if it cannot."""
    key = derive_key(source.stem, find_key_text(source), given, by_sender=by_sender)
    if key is None:
        raise AgentdError(clean(f"{source.name} does not say whose it is: give --channel and --chat"))
    target, foreign = folder / f"{key.file_name}.jsonl", ForeignFile()
    if os.path.lexists(target):
        raise AgentdError(taken_text(target))
    lines = build_session(read_lines(source), key, format_time(utc_now()), foreign)
    first = next(lines, None)
    if first is None:
        raise AgentdError(clean(f"{source.name} holds no message of a user or an assistant: nothing was imported"))
    return Import(key, target, itertools.chain((first,), lines), foreign)


def _print_line(line: str) -> None:
    print_lines([clean(line)])
