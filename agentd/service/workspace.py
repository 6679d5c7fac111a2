"""Locks the workspace, a private folder (0700) that one daemon at a time may use."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from agentd.errors import ConfigError, WorkspaceBusy

__all__ = ["hold_workspace"]

LOCK = "lock"

log = structlog.get_logger()


@contextmanager
def hold_workspace(workspace: Path) -> Iterator[None]:
    """Create the folder (0700) and hold its lock file until the block ends; the kernel releases it if the process dies.

    Meanwhile the umask makes everything that the process creates private. Raises WorkspaceBusy if another process holds
    the lock, and ConfigError if the folder cannot be used.
    """
    mask = os.umask(0o077)
    try:
        with _locked(workspace):
            yield
    finally:
        os.umask(mask)


@contextmanager
def _locked(workspace: Path) -> Iterator[None]:
    try:
        _make_private(workspace)
        fd = os.open(workspace / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as fault:
        raise ConfigError(
            f"workspace: {workspace} cannot be used ({fault.strerror}): set workspace to a folder that you may write"
        ) from fault
    try:
        _lock(fd, workspace)
        yield
    finally:
        os.close(fd)


def _make_private(workspace: Path) -> None:
    """Create the folder, or make one that is ours private; a folder with other content keeps its mode."""
    workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = {entry.name for entry in workspace.iterdir()}
    if not names or LOCK in names:
        workspace.chmod(0o700)
    elif workspace.stat().st_mode & 0o077:
        log.warning("workspace_open_to_others", workspace=str(workspace), advice="give it a folder of its own, 0700")


def _lock(fd: int, workspace: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise WorkspaceBusy(
            f"another daemon (process {holder}) holds {workspace}: stop it, or set another workspace"
        ) from fault
    except OSError as fault:
        raise ConfigError(f"workspace: {workspace} cannot be locked ({fault.strerror}): use a local disk") from fault
    with suppress(OSError):  # a full disk; the number is there for people, the lock holds without it
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
