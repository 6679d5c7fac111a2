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

__all__ = ["ask_daemon"]


def ask_daemon(
    workspace: Path, request: Mapping[str, object], show: Callable[[str], None], body: BinaryIO | None = None
) -> int | None:
    """Send a request, show each line of the answer, and return the exit code; None where nobody listens.

    Raises AgentdError with what the daemon says, and where it ends before it is done.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with reachable(workspace) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
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
