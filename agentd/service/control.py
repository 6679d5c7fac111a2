"""Serves the control socket, on which the command line sends commands to the running daemon; so each file keeps one
writer.

`{workspace}/control.sock` (0600) takes one request a connection: a JSON object on a line, `{"command": NAME, ...}`, and
after it the bytes that the command takes, if any. The answer is lines of JSON too: any number of `{"line": TEXT}`, then
`{"exit": N}`, or `{"error": TEXT, "exit": N}`. Until then the client keeps its end open both ways. Only root and the
daemon's own user are served (SO_PEERCRED). Lines are bounded and waits limited: what a client sends wrong, or does not
send or read, ends its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from struct import Struct

import msgspec
import structlog

from agentd.errors import AgentdError

__all__ = ["Caller", "Handler", "open_control", "reachable"]

SOCKET = "control.sock"

MOST_LINE_BYTES = 64 * 1024
MOST_CALLERS = 8
PATIENCE_SECONDS = 30
"""How long the daemon waits for a client to send what it announced, or to read what it asked for."""

MOST_ADDRESS_BYTES = 107
"""The longest address of a Unix socket (unix(7))."""

_PEER = Struct("3i")

log = structlog.get_logger()


class Caller:
    """The client of one connection: takes the lines of the answer, and yields the bytes after the request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk over one connection."""
        self._reader = reader
        self._writer = writer

    async def request(self) -> dict[str, object]:
        """Read the request. Raises AgentdError if it is malformed, EOFError if it ends early."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = await self._reader.readuntil(b"\n")
            # Not msgspec: a file name that is not UTF-8 comes, and goes, with lone surrogates.
            request = json.loads(line)
        except (ValueError, RecursionError, asyncio.LimitOverrunError) as fault:
            raise AgentdError(f"this is no request: {fault}") from fault
        return request if isinstance(request, dict) else {}

    async def body(self, size: int) -> AsyncIterator[bytes]:
        """Yield `size` bytes after the request; raises ConnectionError if some are missing."""
        while size > 0:
            async with asyncio.timeout(PATIENCE_SECONDS):
                block = await self._reader.read(size)
            if not block:
                raise ConnectionResetError("the request ended early")
            size -= len(block)
            yield block

    async def say(self, *lines: str) -> None:
        """Send lines of the answer. Raises ConnectionError if the client is gone, even if there is no line to send."""
        if self._reader.at_eof():
            raise ConnectionResetError("the client is gone")
        for line in lines:
            await self.put({"line": line})

    async def put(self, message: Mapping[str, object]) -> None:
        """Send one object."""
        self._writer.write(json.dumps(message).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._writer.drain()

    async def hang_up(self) -> None:
        """Close the connection once everything is sent."""
        self._writer.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._writer.wait_closed()


Handler = Callable[[Mapping[str, object], Caller], Awaitable[int]]
"""Runs one command and returns its exit code.

May raise AgentdError, OSError, and ValidationError for a bad request.
"""


class _Desk:
    """Serves the connections, each in a task of its own."""

    def __init__(self, handlers: Mapping[str, Handler], users: frozenset[int], tasks: asyncio.TaskGroup) -> None:
        self._handlers = handlers
        self._users = users
        self._tasks = tasks
        self._busy: set[asyncio.Task[None]] = set()

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept a connection, unless it is another user's or one too many."""
        user = _peer(writer.get_extra_info("socket"))
        if user not in self._users or len(self._busy) >= MOST_CALLERS:
            log.warning("control_refused", user=user, callers=len(self._busy))
            writer.transport.abort()
            return
        task = self._tasks.create_task(self._serve(reader, writer), name="control")
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    def dismiss(self) -> None:
        """Cut the running commands; each of their steps is completed or not done at all."""
        for task in self._busy:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller, is_closed = Caller(reader, writer), False
        try:
            await caller.put(await self._outcome(caller))
            await caller.hang_up()
            is_closed = True
        except (OSError, EOFError) as fault:  # it waited too long, or the client is gone
            log.info("control_broken_off", fault=str(fault) or type(fault).__name__)
        finally:
            if not is_closed:
                writer.transport.abort()

    async def _outcome(self, caller: Caller) -> dict[str, object]:
        """Do what is asked for; this is the boundary that a command's bugs do not cross."""
        try:
            request = await caller.request()
            handler = self._handlers.get(str(request.get("command")), _refuse)
            return {"exit": await handler(request, caller)}
        except AgentdError as fault:
            return {"error": str(fault), "exit": fault.exit_code}
        except (msgspec.ValidationError, UnicodeError, OverflowError) as fault:
            # Raised by what the value is passed to: for half a surrogate pair, say, or a number of many digits.
            return {"error": f"this is no request: {fault}", "exit": 1}
        except (ConnectionError, TimeoutError, EOFError):
            raise
        except OSError as fault:
            return {"error": f"{fault.filename or 'sessions'}: {fault.strerror or fault}", "exit": 1}
        except Exception as fault:
            log.error("control_failed", exc_info=fault)
            return {"error": f"the daemon could not do this ({type(fault).__name__}): see what its log says", "exit": 1}


async def _refuse(request: Mapping[str, object], caller: Caller) -> int:
    del request, caller
    raise AgentdError("the daemon that runs does not know this command: is it of another version?")


@asynccontextmanager
async def open_control(
    workspace: Path, handlers: Mapping[str, Handler], users: frozenset[int] | None = None
) -> AsyncIterator[None]:
    """Answer requests until the block ends; the caller holds the workspace's lock, so a socket found there is stale.

    If the socket cannot be created, that is logged, and the daemon runs without.
    """
    users = frozenset({0, os.geteuid()}) if users is None else users
    try:
        listener = _listen(workspace)
    except OSError as fault:
        log.warning("control_unavailable", fault=str(fault))
        yield
        return
    try:
        async with asyncio.TaskGroup() as tasks:
            desk = _Desk(handlers, users, tasks)
            server = await asyncio.start_unix_server(desk.welcome, sock=listener, limit=MOST_LINE_BYTES)
            try:
                yield
            finally:
                server.close()
                desk.dismiss()
    finally:
        (workspace / SOCKET).unlink(missing_ok=True)


@contextmanager
def reachable(workspace: Path) -> Iterator[str]:
    """Yield the socket's address; if it is too long for a socket, a path through the opened folder."""
    path = os.fspath(workspace / SOCKET)
    if len(os.fsencode(path)) <= MOST_ADDRESS_BYTES:
        yield path
        return
    folder = os.open(workspace, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


def _listen(workspace: Path) -> socket.socket:
    """Bind the socket; nobody can connect before it listens, and by then it is private (0600)."""
    path = workspace / SOCKET
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(workspace) as address:
            listener.bind(address)
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


def _peer(connection: socket.socket) -> int:
    """Return the user id of the other end, from the kernel."""
    user: int
    _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user
