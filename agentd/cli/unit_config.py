"""Plans which configuration file a system service reads: a readable one, with its secrets in the credential store.

A suitable configuration is read where it is. Any other is written to /etc/agentd/config.toml without its secrets, and
each secret to a file that only root reads. The original stays; if it is that very file, a copy is kept beside it.
Everything that can fail is checked while planning, before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from agentd.cli.unit_places import check_config, is_hidden, is_open, make_open_folder
from agentd.cli.unit_secrets import Split, split_secrets
from agentd.errors import AgentdError
from agentd.settings import load_settings
from agentd.settings.load import OF_SYSTEM, SEARCH
from agentd.settings.sources import STORED, SYSTEM_STATE, find_file, load_file

__all__ = ["ETC", "Etc", "Plan", "plan_config"]


@dataclass(frozen=True, slots=True)
class Etc:
    """The system's paths for them."""

    config: Path = Path(OF_SYSTEM)
    store: Path = Path("/etc/credstore")


ETC = Etc()


@dataclass(frozen=True, slots=True)
class Plan:
    """The file that the service will read, and what to do for that."""

    config: Path
    drain_seconds: float
    """The `service.drain_seconds` of that configuration."""
    move: Move | None = None

    def carry_out(self) -> list[str]:
        """Write what is planned; return what was done, a sentence each. Raises AgentdError."""
        if self.move is None:
            return []
        steps = list(_write(self.move))
        check_config(self.config)
        return steps


@dataclass(frozen=True, slots=True)
class Move:
    """A configuration to be written without its secrets."""

    source: Path
    split: Split
    etc: Etc

    @property
    def is_in_place(self) -> bool:
        """Tell whether the source is that very file, which is rewritten."""
        return self.source == self.etc.config


def plan_config(given: Path | None, environ: Mapping[str, str], etc: Etc) -> Plan:
    """Plan the configuration of the system service. Raises AgentdError and ConfigError, and writes nothing.

    `given` is `--config`; without it /etc/agentd/config.toml comes first, then the usual places.
    """
    source = find_file(given, environ, (str(etc.config), *SEARCH))
    if source is None:
        check_config(etc.config)
        return Plan(etc.config, load_settings(None, {}, search=()).service.drain_seconds)
    source = source.absolute()
    load_file(source)
    split = split_secrets(source.read_text("utf-8-sig"), source)
    # The service will have another environment, and the credentials of the store.
    drain_seconds = load_settings(source, {"HOME": str(Path.home())}, store=etc.store).service.drain_seconds
    is_plain = not split.secrets and split.workspace in ("", SYSTEM_STATE)
    if is_plain and _is_within_reach(source):
        return Plan(source, drain_seconds)
    move = Move(source, split, etc)
    _check_place(move)
    _check_store(etc.store, split.secrets)
    return Plan(etc.config, drain_seconds, move)


def _is_within_reach(source: Path) -> bool:
    """Tell whether the service can see and read the file and, if it is a link, its target."""
    return all(is_open(path) and not is_hidden(path) for path in (source, source.resolve()))


def _check_place(move: Move) -> None:
    if not move.is_in_place and move.etc.config.exists():
        raise AgentdError(
            f"{move.etc.config} is there already, and {move.source} is not fit for the service (it holds secrets or a "
            "workspace, or is closed to others): install without --config, or move one of them away"
        )
    check_config(move.etc.config, will_be_open=True)


def _check_store(store: Path, secrets: Mapping[str, str]) -> None:
    for name, secret in secrets.items():
        file = store / f"{STORED}{name}"
        if file.exists() and file.read_text("utf-8").rstrip("\r\n") != secret:
            raise AgentdError(f"{file} is there already and holds another secret: move it away, then install again")


def _write(move: Move) -> Iterator[str]:
    etc, split, source = move.etc, move.split, move.source
    for name, secret in split.secrets.items():
        make_open_folder(etc.store.parent)
        etc.store.mkdir(mode=0o700, exist_ok=True)
        file = etc.store / f"{STORED}{name}"
        _put(file, f"{secret}\n".encode(), 0o600)
        yield f"Put {name.replace('__', '.')} into {file}, which root alone reads."
    if move.is_in_place:
        yield from _keep(source, split)
    make_open_folder(etc.config.parent)
    _put(etc.config, split.plain.encode(), 0o644)
    without = " without what is secret" if split.secrets else ""
    yield f"Wrote {etc.config}{without}" + ("." if move.is_in_place else f", from {source}, which stays as it is.")
    if split.workspace and split.workspace != SYSTEM_STATE:
        yield (
            f"The service keeps its files in {SYSTEM_STATE}, not in {split.workspace}. To take along what is there, "
            f"before the first start: cp -a {split.workspace}/. /var/lib/private/agentd (docs/operations.md)"
        )


def _keep(source: Path, split: Split) -> Iterator[str]:
    """Keep a copy of the file that is rewritten, beside it; none if its text does not change."""
    if source.read_text("utf-8-sig") == split.plain:
        return
    names = (f"{source.name}.before{f'-{number}' if number > 1 else ''}" for number in count(1))
    kept = next(path for path in map(source.with_name, names) if not os.path.lexists(path))
    _put(kept, source.read_bytes(), 0o600)
    advice = "; it holds secrets: delete it once the service runs" if split.secrets else ""
    yield f"Kept {source} as it was in {kept}, which root alone reads{advice}."


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically; nobody sees half of it, or sees it before its mode is set."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        os.fchmod(fd, mode)
        os.fsync(fd)
    beside.replace(path)
