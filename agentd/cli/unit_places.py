"""Finds this installation's paths, and checks whether a system service can see and read them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import agentd
from agentd.errors import AgentdError

__all__ = [
    "check_config",
    "check_readable",
    "find_program",
    "find_roots",
    "is_hidden",
    "is_open",
    "make_open_folder",
]

HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""What `ProtectHome` and `PrivateTmp` hide from a service (systemd.exec(5))."""


def find_program() -> Path:
    """Return this installation's command, beside its interpreter."""
    program = Path(sys.executable).with_name("agentd")
    if not program.is_file():
        raise AgentdError(f"{program} is missing: set agentd up again (make run), then install the service")
    return program


def find_roots() -> tuple[Path, ...]:
    """Return the folders that agentd runs from (environment, source, interpreter), without those inside another."""
    source = Path(agentd.__file__).parents[1]
    roots = {Path(sys.prefix), source, *_interpreters()}
    return tuple(sorted(root for root in roots if not any(other in root.parents for other in roots)))


def is_hidden(path: Path) -> bool:
    """Tell whether this path is hidden from a system service by default."""
    return any(hidden == path or hidden in path.parents for hidden in HIDDEN)


def check_readable(roots: Iterable[Path]) -> None:
    """Raise AgentdError if the service's user could not read what it runs from."""
    needed = (find_program().resolve(), Path(sys.executable).resolve(), Path(agentd.__file__).resolve())
    for root in roots:
        for path in (path for path in needed if root.resolve() in path.parents):
            if not is_open(path, below=root.resolve() if is_hidden(root) else Path("/")):
                raise AgentdError(
                    f"the service's own user may not read {path}: chmod -R go+rX {root}, or move agentd to /opt"
                )


def is_open(path: Path, below: Path = Path("/")) -> bool:
    """Tell whether everybody may read this file, and pass every folder from `below` to it."""
    folders = [parent for parent in path.parents if parent == below or below in parent.parents]
    return bool(path.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in folders)


def check_config(config: Path, *, will_be_open: bool = False) -> None:
    """Raise AgentdError if the service's user could not read /etc/agentd/config.toml; it may not exist yet.

    With `will_be_open` only its folders are checked, from /etc on: the file itself is about to be written.
    """
    for folder in (config.parents[1], config.parent):
        if folder.exists() and not folder.stat().st_mode & 0o001:
            raise AgentdError(f"the service's own user may not enter {folder}: chmod o+x {folder}, then install again")
    if config.exists() and not will_be_open and not config.stat().st_mode & 0o004:
        raise AgentdError(f"the service's own user may not read {config}: chmod o+r {config}, then install again")


def make_open_folder(folder: Path) -> None:
    """Create a folder and its missing parents, open to everybody (0755) whatever root's umask is."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        path.chmod(0o755)


def _interpreters() -> Iterator[Path]:
    """Yield the interpreter's folder, under every name that leads to it from the environment."""
    yield Path(sys.base_prefix)
    path = Path(sys.executable)
    while path.is_symlink():
        path = Path(os.path.normpath(path.parent / path.readlink()))
        yield path.parents[1]
    yield path.resolve().parents[1]
