"""Sends a command to the running daemon over its control socket, and shows the answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from agentd.errors import AgentdError
from agentd.service.control import reachable

__all__ = ["LOOK_SECONDS", "ask_daemon"]

LOOK_SECONDS = 10.0
"""How long looking at the daemon may take; an event loop that is so late is stuck (`agentd/service/vitals.py`)."""


def ask_daemon(
    workspace: Path,
    request: Mapping[str, object],
    show: Callable[[str], None],
    body: BinaryIO | None = None,
    *,
    patience_seconds: float | None = None,
) -> int | None:
    """Send a request, show each line of the answer, and return the exit code; None if no daemon listens.

    Each line is awaited without limit, or for `patience_seconds`, which lets a stuck daemon be reported. Raises
    AgentdError with the daemon's error, or if the daemon or the time ends before the command does.
    """
    try:
        return _ask(workspace, request, show, body, patience_seconds)
    except TimeoutError:
        raise AgentdError(
            f"the daemon on {workspace} has not answered within {patience_seconds:g} s: it is stuck or stopped, or the "
            "machine is busy; see what its log says, and restart it if it stays so"
        ) from None


def _ask(
    workspace: Path,
    request: Mapping[str, object],
    show: Callable[[str], None],
    body: BinaryIO | None,
    patience_seconds: float | None,
) -> int | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience_seconds)
        try:
            with reachable(workspace) as address:
                connection.connect(address)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except BlockingIOError as fault:  # the daemon's queue of waiting connections is full
            raise TimeoutError from fault
        with suppress(BrokenPipeError, ConnectionResetError):  # the daemon may have answered already
            connection.sendall(json.dumps(request).encode() + b"\n")
            if body is not None:
                connection.sendfile(body)
        return _show_answer(connection, show)


def _show_answer(connection: socket.socket, show: Callable[[str], None]) -> int:
    with suppress(ConnectionResetError), connection.makefile("rb") as answer:
        for line in answer:
            if not line.endswith(b"\n"):
                break
            match json.loads(line):
                case {"line": str(text)}:
                    show(text)
                case {"error": str(text), "exit": int(code)}:
                    fault = AgentdError(text)
                    fault.exit_code = code
                    raise fault
                case {"exit": int(code)}:
                    return code
    raise AgentdError("the daemon ended before this was done: see what its log says, and try again")
