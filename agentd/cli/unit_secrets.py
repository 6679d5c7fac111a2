"""Splits the secrets off a configuration file, for a service whose configuration everybody may read.

Whole lines are removed, so that comments and order stay; the result is parsed again and compared, so that nothing else
can have changed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentd.errors import ConfigError
from agentd.settings import Settings
from agentd.settings.shape import Key, is_secret, leaves

__all__ = ["Split", "split_secrets"]

WORKSPACE: Key = ("workspace",)

_HEADER = re.compile(r"\s*\[\s*([\w.\s-]+?)\s*\]\s*(?:#.*)?$")
_ARRAY = re.compile(r"\s*\[\[")
_ASSIGNMENT = re.compile(r"\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*=")


@dataclass(frozen=True, slots=True)
class Split:
    """A configuration in two parts: what everybody may read, and the secrets by the names of their credentials."""

    plain: str
    secrets: Mapping[str, str]
    workspace: str
    """The workspace that it named; a system service has a fixed one."""


def split_secrets(text: str, file: Path) -> Split:
    """Remove secrets and the workspace. Raises ConfigError if that cannot be done line by line."""
    given = tomllib.loads(text)
    _refuse_arrays(given, file)
    found = {key: value for key in leaves(Settings) if is_secret(Settings, key) and (value := _value(given, key))}
    workspace = str(given.get("workspace", ""))
    taken = {*found, *([WORKSPACE] if workspace else [])}
    plain = "".join(_without(text, taken))
    left = _parse(plain)
    if left is None or _pruned(left, set()) != _pruned(given, taken) or any(map(plain.count, found.values())):
        names = ", ".join(".".join(map(str, key)) for key in sorted(taken, key=str))
        raise ConfigError(
            f"{file}: {names} cannot be taken out of it: write each on a line of its own, and nowhere else"
        )
    return Split(plain, {"__".join(map(str, key)): value for key, value in found.items()}, workspace)


def _refuse_arrays(given: Mapping[str, Any], file: Path) -> None:
    provider = given.get("provider")
    fallbacks = provider.get("fallbacks", []) if isinstance(provider, dict) else []
    if any(isinstance(one, dict) and one.get("api_key") for one in fallbacks):
        raise ConfigError(
            f"{file}: provider.fallbacks: holds an api_key, which everybody could read: "
            "move the whole array, as JSON, into /etc/credstore/agentd.provider__fallbacks"
        )


def _without(text: str, taken: set[Key]) -> Iterator[str]:
    table: tuple[str, ...] = ()
    for line in text.splitlines(keepends=True):
        if header := _HEADER.match(line):
            table = _parts(header[1])
        elif _ARRAY.match(line):
            table = ("",)  # nothing in an array is removed
        assigned = _ASSIGNMENT.match(line)
        if not (assigned and (*table, *_parts(assigned[1])) in taken):
            yield line


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in dotted.split("."))


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _value(given: Mapping[str, Any], key: Key) -> str:
    value: Any = given
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _pruned(given: Mapping[str, Any], taken: set[Key], above: Key = ()) -> dict[str, Any]:
    """Return the rest without empty tables, which mean nothing."""
    left = {
        name: _pruned(value, taken, (*above, name)) if isinstance(value, dict) else value
        for name, value in given.items()
        if (*above, name) not in taken
    }
    return {name: value for name, value in left.items() if value != {}}
