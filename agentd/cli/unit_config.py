"""Which configuration a service of the system reads: one that everybody may read, its secrets in the credential store.

A configuration that is fit is read where it is. Any other is written to /etc/agentd/config.toml without its secrets,
and each secret to a file that root alone reads. The original is left as it is, unless it is that file itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agentd.cli.unit_places import is_hidden, is_open
from agentd.cli.unit_secrets import Split, split_secrets
from agentd.errors import AgentdError
from agentd.settings.load import OF_SYSTEM, SEARCH
from agentd.settings.sources import STORED, SYSTEM_STATE, find_file, load_file

__all__ = ["ETC", "Etc", "Settled", "settle_config"]


@dataclass(frozen=True, slots=True)
class Etc:
    """Where the system keeps them."""

    config: Path = Path(OF_SYSTEM)
    store: Path = Path("/etc/credstore")


ETC = Etc()


@dataclass(frozen=True, slots=True)
class Settled:
    """The file that the service reads, and what was done for that, a sentence each."""

    config: Path
    steps: list[str] = field(default_factory=list)


def settle_config(given: Path | None, environ: Mapping[str, str], etc: Etc = ETC) -> Settled:
    """Return the configuration of the system's service; raises AgentdError and ConfigError, before anything is written.

    `given` is `--config`; without it /etc/agentd/config.toml comes first, and then those that are looked for always.
    """
    source = find_file(given, environ, (str(etc.config), *SEARCH))
    if source is None:
        return Settled(etc.config)
    source = source.absolute()
    load_file(source)
    split = split_secrets(source.read_text("utf-8-sig"), source)
    is_plain = not split.secrets and split.workspace in ("", SYSTEM_STATE)
    if is_plain and is_open(source) and not is_hidden(source):
        return Settled(source)
    if source != etc.config and etc.config.exists():
        raise AgentdError(
            f"{etc.config} is there already, and {source} is not fit for the service (it holds secrets or a workspace, "
            "or is closed to others): install without --config, or move one of them away"
        )
    _check_store(etc.store, split.secrets)
    return Settled(etc.config, list(_write(source, split, etc)))


def _check_store(store: Path, secrets: Mapping[str, str]) -> None:
    for name, secret in secrets.items():
        file = store / f"{STORED}{name}"
        if file.exists() and file.read_text("utf-8").rstrip("\r\n") != secret:
            raise AgentdError(f"{file} is there already and holds another secret: move it away, then install again")


def _write(source: Path, split: Split, etc: Etc) -> Iterator[str]:
    for name, secret in split.secrets.items():
        etc.store.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = etc.store / f"{STORED}{name}"
        _put(file, secret + "\n", 0o600)
        yield f"Put {name.replace('__', '.')} into {file}, which root alone reads."
    if not etc.config.parent.exists():
        etc.config.parent.mkdir(parents=True)
        etc.config.parent.chmod(0o755)  # the service's user must get in, whatever umask root has
    _put(etc.config, split.plain, 0o644)
    without = " without what is secret" if split.secrets else ""
    yield f"Wrote {etc.config}{without}" + (f", from {source}, which stays as it is." if source != etc.config else ".")
    if split.workspace and split.workspace != SYSTEM_STATE:
        yield (
            f"The service keeps its files in {SYSTEM_STATE}, not in {split.workspace}. To take along what is there, "
            f"before the first start: cp -a {split.workspace}/. /var/lib/private/agentd (docs/operations.md)"
        )


def _put(path: Path, text: str, mode: int) -> None:
    """Write a file as a whole; nobody sees half of it, nor for a moment what is not for them."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(fd, mode)
        os.fsync(fd)
    beside.replace(path)
