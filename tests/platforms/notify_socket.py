"""This module is the supervisor's end of systemd's notify protocol."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path


class NotifySocket:
    """Keeps every datagram, as the lines that it has."""

    def __init__(self, address: str) -> None:
        """Listen at a path, or at an abstract name that begins with `@`."""
        self.address = address
        self.told: list[dict[str, str]] = []
        self._changed = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    @property
    def words(self) -> list[str]:
        """Return what was told so far, without statuses and signs of life, in order."""
        plain = ("STATUS", "WATCHDOG", "MONOTONIC_USEC", "EXTEND_TIMEOUT_USEC")
        return [name for message in self.told for name in message if name not in plain]

    @property
    def statuses(self) -> list[str]:
        """Return every status so far."""
        return [message["STATUS"] for message in self.told if "STATUS" in message]

    def count(self, name: str) -> int:
        """Return how often this was told."""
        return sum(name in message for message in self.told)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until what was told makes this true."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def listen(self) -> None:
        """Take datagrams until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            datagram = await loop.sock_recv(self._socket, 4096)
            lines = (line.partition("=") for line in datagram.decode().split("\n"))
            self.told.append({name: value for name, _, value in lines})
            self._changed.set()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@asynccontextmanager
async def open_notify_socket(folder: Path) -> AsyncIterator[NotifySocket]:
    """Listen in this folder until the end of the block."""
    supervisor = NotifySocket(str(folder / "notify"))
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(supervisor.listen(), name="supervisor")
        try:
            yield supervisor
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            supervisor.close()
