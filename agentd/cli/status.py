"""`agentd status`: asks the running daemon how it is, over the control socket, and prints the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agentd.cli.check_machine import NO_DAEMON, look_at_lock
from agentd.cli.screen import clean, print_lines
from agentd.cli.sessions_files import load, plain_faults
from agentd.errors import AgentdError
from agentd.service.control_client import LOOK_SECONDS, ask_daemon
from agentd.service.status import Status, say_status

__all__ = ["status"]


def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
) -> None:
    """Show how the running daemon is doing: its channels, its sessions, its size."""
    workspace = load(context.obj).workspace
    lines: list[str] = []
    with plain_faults():
        if ask_daemon(workspace, {"command": "status"}, lines.append, patience_seconds=LOOK_SECONDS) is None:
            raise AgentdError(_why_silent(workspace))
    told = msgspec.convert(json.loads(lines[0]), Status)
    if as_json:
        print_lines([json.dumps(msgspec.to_builtins(told), indent=2)])
    else:
        print_lines(map(clean, say_status(told)))


def _why_silent(workspace: Path) -> str:
    """Say why nobody answers: a daemon that starts, or has no socket, holds the workspace all the same."""
    lock = look_at_lock(workspace)
    if lock.text == NO_DAEMON:
        return f"no daemon runs on {workspace}: start one with agentd run"
    if lock.state == "failed":
        return lock.text
    return f"{lock.text}, and cannot be asked: it starts or ends, or has no socket (in its log: control_unavailable)"
