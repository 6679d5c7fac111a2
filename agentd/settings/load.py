"""Loads the settings from all their sources (TOML, environment, credential files), or says in one line what is
wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentd.errors import ConfigError
from agentd.settings.checks import find_contradictions
from agentd.settings.faults import describe_invalid, describe_unknown, describe_wrong, report
from agentd.settings.model import Settings
from agentd.settings.sources import (
    STORED,
    Source,
    find_file,
    find_store,
    load_credentials,
    load_file,
    read_environment,
    state_directory,
)

__all__ = ["OF_SYSTEM", "SEARCH", "load_given", "load_settings"]

OF_SYSTEM = "/etc/agentd/config.toml"

SEARCH = ("config.toml", "~/.config/agentd/config.toml", OF_SYSTEM)
"""Where a file is looked for if none is named; `~` is `environ["HOME"]`."""


def load_settings(
    path: Path | None, environ: Mapping[str, str], *, search: Sequence[str] = SEARCH, store: Path | None = None
) -> Settings:
    """Load the settings: environment over credential files over TOML over defaults.

    `path` is `--config`; `store` is the credential store that goes with it, if not the one beside it; it may be
    missing. Raises `ConfigError` with one line that names source, key and fault, and shows no secret.
    """
    file = find_file(path, environ, search)
    sources = tuple(_open(file, environ, store))
    outcome, lines = _assemble(sources, state_directory(environ, of_system=file == Path(OF_SYSTEM)))
    lines += [describe_wrong(wrong.keys, wrong.sentence, sources) for wrong in find_contradictions(outcome)]
    if lines:
        raise ConfigError(report(lines))
    if not any("workspace" in source.values for source in sources):
        outcome.model_fields_set.discard("workspace")  # set by systemd, not by the operator
    return outcome


def load_given(environ: Mapping[str, str]) -> Settings:
    """Load what the environment and the credential files say, for the wizard, which writes the file that is missing.

    Values that the file will add are not missed. Raises `ConfigError` for unknown keys and invalid values.
    """
    outcome, lines = _assemble(tuple(_open(None, environ)), state_directory(environ))
    if lines:
        raise ConfigError(report(lines))
    return outcome


def _assemble(sources: Sequence[Source], merged: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Merge the sources, the first over the others, and validate each key; return also the lines about unknown keys."""
    lines = [describe_unknown(name, source) for source in sources for name in source.unknown]
    for source in reversed(sources):
        merged = _merge(merged, source.values)
    outcome = _validate(merged, sources)
    # Raised here and not while handling pydantic's error, which holds every value as it was given.
    if not isinstance(outcome, Settings):
        raise ConfigError(report([*lines, *outcome]))
    return outcome, lines


def _open(file: Path | None, environ: Mapping[str, str], store: Path | None = None) -> Iterator[Source]:
    yield read_environment(environ)
    beside = find_store(file) if store is None else str(store) if store.is_dir() else None
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        yield load_credentials(directory)
    elif beside:
        yield load_credentials(beside, STORED)
    if file:
        yield load_file(file)


def _validate(values: Mapping[str, Any], sources: Sequence[Source]) -> Settings | list[str]:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        return [describe_invalid(details, sources) for details in error.errors(include_url=False)]


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
