"""These tests check that the pure core, as pyproject.toml lists it, does no I/O and imports nothing that does."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.architecture.reading import tree_of
from tests.mutation.core import PROJECT, core_files

OUTSIDE = {"os", "io", "pathlib", "shutil", "tempfile", "socket", "ssl", "http", "subprocess", "sqlite3", "signal",
           "threading", "multiprocessing", "concurrent", "asyncio", "time", "random", "secrets", "logging"}  # fmt: skip
"""What the standard library has for the world, its clock and its chance."""

LIBRARIES = {"markdown_it", "msgspec", "pydantic", "wcwidth"}
"""Whose code may be called: it does no I/O either."""


def imported(file: str) -> Iterator[str]:
    """What a module imports at run time; of an own package by the module's full name."""
    for node in ast.walk(tree_of(PROJECT / file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def called(file: str) -> set[str]:
    """The plain names that a module calls."""
    calls = (node.func for node in ast.walk(tree_of(PROJECT / file)) if isinstance(node, ast.Call))
    return {name.id for name in calls if isinstance(name, ast.Name)}


@pytest.mark.parametrize("file", core_files())
def test_the_pure_core_has_no_way_to_the_world(file: str) -> None:
    tops = {name.partition(".")[0] for name in imported(file)}
    strange = tops - set(sys.stdlib_module_names) - LIBRARIES - {"agentd", "channels", "memory"}

    assert strange == set()
    assert tops & OUTSIDE == set()
    assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(tree_of(PROJECT / file)))
    assert "open" not in called(file)
