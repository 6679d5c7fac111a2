"""Writes the wizard's configuration file: complete or not at all, private (0600), and never over an existing one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

from agentd.cli.screen import clean
from agentd.errors import AgentdError, ConfigError
from agentd.settings import load_settings

__all__ = ["Section", "check_place", "render", "write_new"]


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the file, after a comment line; if it has no values, the comment only."""

    comment: str
    name: str
    values: Mapping[str, object] = field(repr=False)
    """Text, or lists of text."""


def check_place(path: Path) -> None:
    """Raise AgentdError if no new file can be written; called before anything is asked."""
    if os.path.lexists(path):
        raise AgentdError(
            f"{path} exists already, and is left as it is: agentd check looks at it; "
            "to write another use agentd init --output OTHER.toml, to start over move it away: "
            f"mv {quote(str(path))} {quote(f'{path}.old')}"
        )
    folder = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise AgentdError(f"{folder} cannot be written: use agentd init --output PATH with a path in a folder of yours")


def render(sections: Iterable[Section]) -> str:
    """Return the file's text."""
    return "\n".join(_lines(sections))


def write_new(path: Path, text: str, environ: Mapping[str, str]) -> None:
    """Write a new file (0600), if the settings load from it.

    Raises FileExistsError if it exists by now, OSError, and ConfigError if the settings do not load.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Private from its first moment; the leading dot keeps anybody from taking it for the configuration.
    descriptor, name = tempfile.mkstemp(prefix=".config-", suffix=".toml", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _load(Path(name), path, environ)
        _put(Path(name), path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _load(written: Path, path: Path, environ: Mapping[str, str]) -> None:
    """Raise ConfigError if the settings do not load, naming the file by its final path."""
    try:
        load_settings(written, environ)
    except ConfigError as fault:
        raise ConfigError(str(fault).replace(str(written), str(path))) from None


def _put(written: Path, path: Path) -> None:
    """Give a file its name, unless another has it."""
    try:
        os.link(written, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: reserve the name first, then replace the empty file
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.replace(written, path)


def _lines(sections: Iterable[Section]) -> Iterator[str]:
    yield "# Written by agentd init. It may hold secrets. Every other key, with its default: config.toml.example"
    for section in sections:
        yield f"\n# {clean(section.comment)}"
        if section.values:
            yield f"[{section.name}]"
        yield from (f"{key} = {_value(value)}" for key, value in section.values.items())
    yield ""


def _value(value: object) -> str:
    """Encode text, or a list of it: TOML takes JSON's form, except for one character that JSON leaves unescaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
