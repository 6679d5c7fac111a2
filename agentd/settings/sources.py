"""Reads configuration values from a TOML file, environment variables (`AGENTD_SECTION__KEY`) and credential files.

A source knows how a key is written there, so that a fault names the place where it can be corrected.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from agentd.errors import ConfigError
from agentd.settings.model import Settings
from agentd.settings.shape import Key, leaves, table_at

__all__ = [
    "STORED",
    "Source",
    "find_file",
    "find_store",
    "load_credentials",
    "load_file",
    "read_environment",
    "state_directory",
]

PREFIX = "AGENTD_"
NOT_A_SETTING = "AGENTD_CONFIG"
SEPARATOR = "__"

STORED = "agentd."
"""Prefix of our files in a credential store, a folder that all services share."""

STORE = "credstore"
"""Where systemd looks for credentials by name: /etc/credstore, and ~/.config/credstore for a person's own."""

SYSTEM_STATE = "/var/lib/agentd"
"""What `StateDirectory=agentd` is for a system service."""


class Source(Protocol):
    """Values from one place."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Nested tables, not yet validated."""
        ...

    @property
    def unknown(self) -> Mapping[str, Key]:
        """Names that belong to no key, and the key that each would be."""
        ...

    def where(self, key: Key) -> str:
        """The file or variable that an operator has to open to change `key`."""
        ...

    def spell(self, key: Key) -> str:
        """How `key` is written there."""
        ...


@dataclass(frozen=True, slots=True)
class FileSource:
    """A TOML file."""

    path: Path
    values: Mapping[str, Any]
    unknown: Mapping[str, Key] = field(default_factory=dict)

    def where(self, key: Key) -> str:
        """The file, whichever the key."""
        return str(self.path)

    def spell(self, key: Key) -> str:
        """The last part: its table is known."""
        return str(key[-1])


@dataclass(frozen=True, slots=True)
class NamedSource:
    """Values that each have a name of their own: environment variables, or the files of a directory."""

    values: Mapping[str, Any]
    unknown: Mapping[str, Key]
    spelling: Callable[[Key], str]
    directory: str = ""

    def where(self, key: Key) -> str:
        """The name, and its directory where it has one."""
        return os.path.join(self.directory, self.spelling(key))

    def spell(self, key: Key) -> str:
        """The whole name; inside an array, where nothing has a name of its own, the last part."""
        return str(key[-1]) if any(isinstance(part, int) for part in key) else self.spelling(key)


def find_file(path: Path | None, environ: Mapping[str, str], search: Iterable[str]) -> Path | None:
    """The file to read: the one named, else the first of `search` that exists, else None."""
    named = path or environ.get(NOT_A_SETTING)
    if named:
        return Path(named)
    home = environ.get("HOME")
    for place in search:
        if place.startswith("~") and not home:
            continue
        file = f"{home}{place[1:]}" if place.startswith("~") else place
        # lexists: a dangling link is a mistake to report, a folder closed to us is not.
        if os.path.lexists(file):
            return Path(file)
    return None


def load_file(path: Path) -> FileSource:
    """Read a TOML file, or raise `ConfigError`.

    pydantic-settings would silently skip what is no regular file, a pipe from `<(...)` included.
    """
    text = _read(path)
    try:
        return FileSource(path, tomllib.loads(text))
    except ValueError as error:
        fault, at, line = str(error).partition(" (at line ")
        number = re.match(r"\d+", line)
        place = f"{path} line {number[0]}" if at and number else str(path)
        raise ConfigError(f"{place}: not valid TOML: {fault}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: nested too deep") from None


def read_environment(environ: Mapping[str, str]) -> NamedSource:
    """The variables `AGENTD_SECTION__KEY`."""
    keys = {_variable(key): key for key in leaves(Settings)}
    named = {name: value for name, value in environ.items() if name.startswith(PREFIX) and name != NOT_A_SETTING}
    known = {keys[name]: _checked(name, value) for name, value in named.items() if name in keys}
    unknown = {name: _split(name.removeprefix(PREFIX).lower()) for name in named if name not in keys}
    return NamedSource(_nest(known), unknown, _variable)


def load_credentials(directory: str, prefix: str = "") -> NamedSource:
    """Read the files `section__key` of a directory that may hold other files too; raises `ConfigError`.

    In a directory that services share, ours begin with `prefix`, and no other is looked at.
    """

    def spell(key: Key) -> str:
        return prefix + _joined(key)

    keys = {spell(key): key for key in leaves(Settings) if len(key) > 1}
    try:
        names = sorted(name for name in os.listdir(directory) if name.startswith(prefix))
    except OSError as error:
        raise ConfigError(f"{directory}: $CREDENTIALS_DIRECTORY cannot be read: {error.strerror}") from None
    known = {keys[name]: _read(Path(directory, name)).rstrip("\r\n") for name in names if name in keys}
    others = {os.path.join(directory, name): _split(name.removeprefix(prefix)) for name in names if name not in keys}
    unknown = {name: key for name, key in others.items() if len(key) > 1 and table_at(Settings, key[:1])}
    return NamedSource(_nest(known), unknown, spell, directory)


def find_store(file: Path | None) -> str | None:
    """Return the folder `credstore` beside the folder of `agentd/config.toml`; None if there is none that may be read.

    With it a command sees what systemd gives to the service: /etc/credstore goes with /etc/agentd/config.toml.
    """
    if file is None or file.parts[-2:] != ("agentd", "config.toml"):
        return None
    store = file.parent.parent / STORE
    return str(store) if os.access(store, os.R_OK | os.X_OK) else None


def state_directory(environ: Mapping[str, str], *, of_system: bool = False) -> dict[str, str]:
    """Return the workspace that systemd assigns, or has assigned to the system service; a default, not a choice."""
    first = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not first and of_system and os.path.lexists(SYSTEM_STATE):
        first = SYSTEM_STATE
    return {"workspace": first} if first else {}


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory, not a file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} line {line}: not UTF-8") from None


def _checked(name: str, value: str) -> str:
    # Python keeps bytes that are not UTF-8 as surrogates, which no file and no socket would take later.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name}: not UTF-8") from None
    return value


def _split(name: str) -> Key:
    return tuple(name.split(SEPARATOR))


def _joined(key: Key) -> str:
    # Only the array has a name, not what stands inside it.
    return SEPARATOR.join(str(part) for part in takewhile(lambda part: isinstance(part, str), key))


def _variable(key: Key) -> str:
    return PREFIX + _joined(key).upper()


class _Shape(Settings, BaseSettings):
    """The settings in the form that pydantic-settings needs; never instantiated."""

    model_config = SettingsConfigDict(case_sensitive=True, env_nested_delimiter=SEPARATOR)


class _Names(EnvSettingsSource):
    """Nests and decodes names as pydantic-settings does, but from a mapping instead of the process's environment."""

    def __init__(self, named: Mapping[str, str]) -> None:
        self._named = named
        super().__init__(_Shape)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._named

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Leave text that is not JSON as it is: validation then reports it with its key, which is unknown here."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return value


def _nest(named: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    return _Names({_joined(key): value for key, value in named.items()})()
