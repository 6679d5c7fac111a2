"""This module lists the modules of the pure core, which do no I/O, as pyproject.toml lists them for mutmut."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

__all__ = ["PROJECT", "core_files"]

PROJECT = Path(__file__).parents[2]


def core_files() -> list[str]:
    """Return the paths of its modules from the project's folder on, sorted; raise ValueError for a pattern of none."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    found: set[str] = set()
    for pattern in project["tool"]["mutmut"]["only_mutate"]:
        files = {path.relative_to(PROJECT).as_posix() for path in PROJECT.glob(pattern)}
        if not files:
            raise ValueError(f"{pattern}: no such module")
        found |= files
    return sorted(found)


if __name__ == "__main__":
    sys.stdout.write(",".join(core_files()))
