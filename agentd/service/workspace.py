"""The workspace: a private folder that one daemon at a time holds."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentd.errors import ConfigError, WorkspaceBusy

__all__ = ["hold_workspace"]


@contextmanager
def hold_workspace(workspace: Path) -> Iterator[None]:
    """Make the folder (0700) and hold its lock file until the end; the kernel lets go of it if the process dies.

    Raises WorkspaceBusy where another process holds it, and ConfigError where the folder cannot be used.
    """
    os.umask(0o077)
    try:
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        workspace.chmod(0o700)
        fd = os.open(workspace / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as fault:
        raise ConfigError(
            f"workspace: {workspace} cannot be used ({fault.strerror}): set workspace to a folder that you may write"
        ) from fault
    try:
        _lock(fd, workspace)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, workspace: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise WorkspaceBusy(
            f"another daemon (process {holder}) holds {workspace}: stop it, or set another workspace"
        ) from fault
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
