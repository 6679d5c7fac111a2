"""This module changes system calls for the tests of the disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any


class Flushes:
    """The system, whose flushes are remembered, and fail where that is told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.failing: dict[str, int] = {}
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, fd: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{fd}")).name
        with self._lock:
            self.names.append(name)
            code = self.failing.pop(name, 0)
        if code:
            raise OSError(code, os.strerror(code))
        os.fsync(fd)
