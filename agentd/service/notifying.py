"""Sends systemd's notifications (sd_notify(3)): readiness, status, watchdog, reload and stop, as datagrams of a few
lines.

Without `$NOTIFY_SOCKET` nothing is sent. Nothing here raises: a supervisor that does not listen must not end the
daemon.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["SILENT", "Notifier", "build_notifier"]

PATIENCE_SECONDS = 0.1
"""How long one datagram may wait for a supervisor that does not read; the next one repeats the state."""

MOST_STATUS_CHARACTERS = 900
"""systemd takes 4,096 bytes per datagram (NOTIFY_BUFFER_MAX); a character has at most four."""


class Notifier:
    """Notifies the supervisor at one address; an empty address means that there is none."""

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        """`address` is a socket's path, or its abstract name after an `@`."""
        self._address = _read_address(address)
        self.watchdog_seconds = watchdog_seconds if self._address else None
        """The watchdog's interval; None: no watchdog."""

    def ready(self, status: str) -> None:
        """Say that the daemon has started or reloaded, with its status (READY=1)."""
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def say(self, status: str) -> None:
        """Send the status (STATUS=)."""
        self._send(f"STATUS={_one_line(status)}")

    def reload(self) -> None:
        """Say that the configuration is being reloaded (RELOADING=1); `ready` ends that."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stop(self, status: str) -> None:
        """Say that the daemon is stopping (STOPPING=1)."""
        self._send("STOPPING=1", f"STATUS={_one_line(status)}")

    def extend(self, seconds: float) -> None:
        """Ask for so much more time to start or stop, from now on (EXTEND_TIMEOUT_USEC=)."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def live(self) -> None:
        """Tell the watchdog that the daemon is alive (WATCHDOG=1)."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(PATIENCE_SECONDS)
            out.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)


def build_notifier(environ: Mapping[str, str], process: int | None = None) -> Notifier:
    """Return the notifier for the supervisor that the environment names; ignore another process's watchdog."""
    process = os.getpid() if process is None else process
    microseconds, holder = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    is_ours = holder in ("", str(process)) and microseconds.isascii() and microseconds.isdigit()
    seconds = int(microseconds) / 1_000_000 if is_ours else 0.0
    return Notifier(environ.get("NOTIFY_SOCKET", ""), seconds or None)


def _read_address(address: str) -> str:
    """Return the address in the socket module's form; "" for an unknown kind."""
    if address.startswith("@"):
        return "\0" + address[1:]
    return address if address.startswith("/") else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MOST_STATUS_CHARACTERS]


SILENT = Notifier()
"""Notifies nobody, for a daemon without a supervisor."""
