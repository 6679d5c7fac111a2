"""`sessions export` and `sessions import`: conversations out of the workspace, and into it."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from agentd.cli.screen import clean, print_lines
from agentd.cli.sessions_text import as_markdown
from agentd.errors import AgentdError
from agentd.transcript.clock import format_time, utc_now
from agentd.transcript.disk import make_folder
from agentd.transcript.foreign import ForeignFile, KeyParts, derive_key
from agentd.transcript.importing import build_session, find_key_text, write_session
from agentd.transcript.lines import read_blocks, read_lines

__all__ = ["export_session", "import_session"]


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


def import_session(source: Path, folder: Path, given: KeyParts, *, by_sender: bool) -> None:
    """Bring a file in and say what came and what did not. Raises OSError, and AgentdError where it cannot be."""
    key = derive_key(source.stem, find_key_text(source), given, by_sender=by_sender)
    if key is None:
        raise AgentdError(clean(f"{source.name} does not say whose it is: give --channel and --chat"))
    make_folder(folder)
    target, foreign = folder / f"{key.file_name}.jsonl", ForeignFile()
    taken = AgentdError(f"{target} exists already: nothing was imported; give another --chat or --sender")
    if os.path.lexists(target):
        raise taken
    lines = build_session(read_lines(source), key, format_time(utc_now()), foreign)
    first = next(lines, None)
    if first is None:
        raise AgentdError(clean(f"{source.name} holds no message of a user or an assistant: nothing was imported"))
    try:
        write_session(itertools.chain((first,), lines), target)
    except FileExistsError:
        raise taken from None
    print_lines(_report(target, foreign))


def _report(target: Path, foreign: ForeignFile) -> list[str]:
    left_out = [f"left out: {what}, {count}" for what, count in sorted(foreign.left_out.items())]
    return [
        clean(f"messages imported: {foreign.users} of the user, {foreign.assistants} of the assistant"),
        clean(f"as {target}"),
        *map(clean, left_out),
    ]
