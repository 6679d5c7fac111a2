"""Asks the daemon that holds the workspace to do a command, and shows what it answers."""

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
"""What a look at the daemon may take; one whose event loop is this late is stuck (`agentd/service/vitals.py`)."""


def ask_daemon(
    workspace: Path,
    request: Mapping[str, object],
    show: Callable[[str], None],
    body: BinaryIO | None = None,
    *,
    patience_seconds: float | None = None,
) -> int | None:
    """Send a request, show each line of the answer, and return the exit code; None where nobody listens.

    Each line is waited for as long as the daemon takes, or so many seconds: a look at one that is stuck is to say so.
    Raises AgentdError with what the daemon says, and where it ends, or the time does, before it is done.
    """
    try:
        return _ask(workspace, request, show, body, patience_seconds)
    except TimeoutError:
        raise AgentdError(
            f"the daemon on {workspace} has not answered within {patience_seconds:g} s: it is stuck or stopped, or the "
            "machine is busy; see what its log says, and start it anew if it stays so"
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
        except BlockingIOError as fault:  # more wait to be heard than the system lets wait
            raise TimeoutError from fault
        with suppress(BrokenPipeError, ConnectionResetError):  # it may know enough, and have answered
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
