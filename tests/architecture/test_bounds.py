"""The house's bounds: what drifts in prose is held here, without opt-outs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted(path for package in ("agentd", "channels", "memory") for path in (ROOT / package).rglob("*.py"))
EVERYTHING = [*CODE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

MOST_FUNCTION_LINES = 50
MOST_FILE_LINES = 400
MOST_CLASS_LINES = 250

BROAD_EXCEPTS = {("agentd/conversation/turn.py", "_ask")}
"""The boundaries that a bug may not cross: a turn (a supervised child and a job join it when there are any)."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_files_classes_and_functions_are_short(path: Path) -> None:
    found = list(nodes(path))
    functions = [node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    classes = [node for node in found if isinstance(node, ast.ClassDef)]

    assert len(path.read_text("utf-8").splitlines()) <= MOST_FILE_LINES
    assert [node.name for node in functions if lines_of(node) > MOST_FUNCTION_LINES] == []
    assert [node.name for node in classes if lines_of(node) > MOST_CLASS_LINES] == []


def broad_handlers(path: Path) -> Iterator[tuple[str, str]]:
    for function in nodes(path):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and is_broad(node.type):
                    yield name_of(path), function.name


def is_broad(caught: ast.expr | None) -> bool:
    names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught else {"BaseException"}
    return bool(names & {"Exception", "BaseException", "CancelledError"})


def test_everything_is_caught_only_at_the_named_boundaries() -> None:
    assert {found for path in CODE for found in broad_handlers(path)} == BROAD_EXCEPTS


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_every_queue_has_a_bound(path: Path) -> None:
    calls = [node for node in nodes(path) if isinstance(node, ast.Call)]
    queues = [call for call in calls if called(call).endswith("Queue") or called(call) == "deque"]

    assert [ast.unparse(call) for call in queues if not call.args and not call.keywords] == []


def called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(value=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name
        case _:
            return ""


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))

    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_what_a_module_exports_exists(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    exported: list[str] = []
    defined: set[str] = set()
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                exported = ast.literal_eval(value)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                defined.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.ImportFrom(names=names):
                defined.update(alias.asname or alias.name for alias in names)
            case _:
                pass

    assert set(exported) - defined == set()
    assert exported == sorted(exported, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
