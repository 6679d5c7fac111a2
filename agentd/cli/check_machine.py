"""What `agentd check` sees on this machine: disk, modes of files, lock. It makes and changes nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote

from pydantic import BaseModel, SecretStr

from agentd.cli.check_finding import Finding, failed, fine
from agentd.settings import Settings

__all__ = ["look_at_disk", "look_at_lock", "look_at_modes"]

LEAST_FREE_BYTES = 100 * 1024 * 1024
"""A full disk loses nothing, but nothing can be said then: there shall be time to make room."""

_OTHERS = 0o077
_OURS = ("lock", "state.db", "memory.db", "tasks.db", "sessions")


def look_at_disk(workspace: Path) -> Finding:
    """Tell whether the workspace can be written, and has room."""
    if os.path.lexists(workspace) and not os.path.isdir(workspace):
        return failed("disk", f"{workspace} is no folder: move it away, or set another workspace")
    place = next(folder for folder in (workspace, *workspace.absolute().parents) if os.path.exists(folder))
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"agentd")
            file.flush()
            room = os.fstatvfs(file.fileno())
    except OSError as fault:
        advice = "give it to the user who runs agentd, or set another workspace"
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "make room"
        return failed("disk", f"{place} cannot be written ({fault.strerror}): {advice}")
    free_bytes = room.f_bavail * room.f_frsize
    if free_bytes < LEAST_FREE_BYTES:
        return failed("disk", f"only {free_bytes // 1024**2} MB are free for {workspace}: make room")
    if room.f_files and not room.f_favail:
        return failed("disk", f"the disk of {workspace} takes no further file (no inodes): remove some")
    will_be = "" if place == workspace else ", which will be made"
    return fine("disk", f"{workspace}{will_be}: {free_bytes / 1024**3:.1f} GB free")


def look_at_modes(settings: Settings, config: Path | None) -> Finding:
    """Tell whether what is private is closed to others; of a configuration that is a link, what it leads to."""
    open_files = list(_open_to_others(settings.workspace))
    config = config.resolve() if config is not None and config.is_symlink() else config
    if config is not None and _is_open(config) and _holds_secret(config, settings):
        open_files.insert(0, config)
    if not open_files:
        return fine("modes", "nobody else may read what is private")
    more = f", and {len(open_files) - 1} more" if len(open_files) > 1 else ""
    advice = f"chmod go= {quote(str(open_files[0]))}"
    if more and open_files[0] == config:
        advice = f"{advice}, and look again"
    elif more:
        advice = f"chmod -R go= {quote(str(settings.workspace))}"
    return failed("modes", f"others may read {open_files[0]}{more}: {advice}")


def look_at_lock(workspace: Path) -> Finding:
    """Tell whether a daemon runs; both are well."""
    try:
        fd = os.open(workspace / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return fine("lock", "no daemon runs")
    except OSError as fault:
        return failed("lock", f"{workspace / 'lock'} cannot be read ({fault.strerror}): run this as the daemon's user")
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        return fine("lock", f"a daemon runs (process {holder})")
    except OSError as fault:
        return failed("lock", f"{workspace} cannot be locked ({fault.strerror}): keep it on a local disk")
    finally:
        os.close(fd)
    return fine("lock", "no daemon runs")


def _open_to_others(workspace: Path) -> Iterator[Path]:
    """Yield what is the daemon's in the workspace; a folder of other things is not looked through."""
    if not os.path.isdir(workspace):
        return
    if _is_open(workspace):
        yield workspace
    with suppress(OSError):
        for entry in sorted(workspace.iterdir()):
            if entry.name.startswith(_OURS) and not entry.is_symlink() and _is_open(entry):
                yield entry
    for folder, folders, files in os.walk(workspace / "sessions"):
        yield from filter(_is_open, (Path(folder, name) for name in sorted((*folders, *files))))


def _is_open(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return bool(mode & _OTHERS) and not stat.S_ISLNK(mode)


def _holds_secret(config: Path, settings: Settings) -> bool:
    try:
        text = config.read_text("utf-8", "replace")
    except OSError:
        return False
    return any(secret in text for secret in _secrets(settings))


def _secrets(section: object) -> Iterator[str]:
    if isinstance(section, SecretStr):
        if section:
            yield section.get_secret_value()
    elif isinstance(section, BaseModel):
        for name in type(section).model_fields:
            yield from _secrets(getattr(section, name))
    elif isinstance(section, tuple):
        for item in section:
            yield from _secrets(item)
