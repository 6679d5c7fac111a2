"""The local part of `agentd check`: disk, file modes, metrics port, workspace lock. It changes nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from agentd.cli.check_finding import Finding, failed, fine
from agentd.errors import ConfigError
from agentd.service.listening import find_place
from agentd.settings import Settings
from agentd.settings.shape import Key, is_secret
from agentd.settings.sources import STORED, find_store, load_file

__all__ = ["NO_DAEMON", "look_at_disk", "look_at_lock", "look_at_modes", "look_at_port"]

LEAST_FREE_BYTES = 100 * 1024 * 1024
"""A full disk loses nothing, but the daemon accepts nothing then: so it warns while there is time to make room."""

NO_DAEMON = "no daemon runs"

_OTHERS = 0o077
_OURS = ("lock", "state.db", "memory.db", "tasks.db", "sessions")


def look_at_disk(workspace: Path) -> Finding:
    """Check that the workspace can be written, and has room."""
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
    """Check that private files are closed to others; if the configuration is a link, its target is checked."""
    own, inside = list(_open_secrets(config)), list(_open_to_others(settings.workspace))
    open_files = [*own, *inside]
    if not open_files:
        return fine("modes", "nobody else may read what is private")
    more = f", and {len(open_files) - 1} more" if len(open_files) > 1 else ""
    advice = f"chmod go= {quote(str(open_files[0]))}"
    if more and own:
        advice = f"{advice}, and look again"
    elif more:
        advice = f"chmod -R go= {quote(str(settings.workspace))}"
    return failed("modes", f"others may read {open_files[0]}{more}: {advice}")


def look_at_port(listen: str) -> Iterator[Finding]:
    """Report who can reach the metrics port, if there is one; whether it is free, the daemon finds out."""
    if not listen:
        return
    try:
        place = find_place(listen)
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        yield failed("metrics", f"service.metrics_listen: {listen} cannot be used ({reason}): set another address")
        return
    if place.is_loopback:
        yield fine("metrics", f"{listen}: for this machine alone")
    else:
        yield fine(
            "metrics",
            f"{listen}: without a password, for everybody who reaches this machine; bind service.metrics_listen to "
            "127.0.0.1, or keep others away from it",
        )


def look_at_lock(workspace: Path) -> Finding:
    """Report whether a daemon runs; either is fine."""
    try:
        fd = os.open(workspace / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return fine("lock", NO_DAEMON)
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
    return fine("lock", NO_DAEMON)


def _open_to_others(workspace: Path) -> Iterator[Path]:
    """Yield the daemon's files in the workspace that others can read; foreign files there are ignored."""
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


def _open_secrets(config: Path | None) -> Iterator[Path]:
    """Yield the configuration and its stored credentials, if others can read a secret in them."""
    if config is None:
        return
    file = config.resolve() if config.is_symlink() else config
    if _is_open(file) and _holds_secret(file):
        yield file
    if store := find_store(config):
        with suppress(OSError):
            yield from filter(_is_open, sorted(Path(store).glob(f"{STORED}*")))


def _holds_secret(config: Path) -> bool:
    try:
        values = load_file(config).values
    except ConfigError:  # it was loaded a moment ago
        return False
    return any(value and is_secret(Settings, key) for key, value in _values(values, ()))


def _values(node: object, above: Key) -> Iterator[tuple[Key, object]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _values(value, (*above, name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _values(value, (*above, number))
    else:
        yield above, node
