"""These tests hold the project's size and style bounds for all code, without opt-outs: prose alone would drift."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.reading import tree_of

ROOT = Path(__file__).parents[2]
CODE = sorted(path for package in ("agentd", "channels", "memory") for path in (ROOT / package).rglob("*.py"))
EVERYTHING = [*CODE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]

MOST_FUNCTION_LINES = 50
MOST_FILE_LINES = 400
MOST_CLASS_LINES = 250

BROAD_EXCEPTS = {
    ("agentd/app/supervising.py", "_run"),
    ("agentd/app/overseeing.py", "_reload_when_asked"),
    ("agentd/app/models.py", "_keep"),
    ("agentd/service/control.py", "_outcome"),
    ("agentd/conversation/turn.py", "_ask"),
    ("agentd/delivery/reply.py", "catch_up"),
    ("agentd/conversation/compacting.py", "_run"),
    ("agentd/tasks/working.py", "_do"),
    ("agentd/tasks/late.py", "keep"),
    ("agentd/conversation/learning.py", "_queue"),
    ("agentd/conversation/recalling.py", "_look"),
    ("agentd/conversation/router.py", "learn_missed"),
}
"""The boundaries that a bug may not cross: a channel, a reload and the models that it opens, an operator's command, a
turn, its drafts beside it, a job (a summary, the queue), and memory, of which none may take a reply with it."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree_of(path)))


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def longer_than(
    most: int, path: Path, *kinds: type[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]
) -> list[str]:
    return [
        f"{name_of(path)}: {node.name}" for node in nodes(path) if isinstance(node, kinds) and lines_of(node) > most
    ]


def test_files_classes_and_functions_are_short() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in EVERYTHING}

    assert {name: count for name, count in lines.items() if count > MOST_FILE_LINES} == {}
    assert [long for path in EVERYTHING for long in longer_than(MOST_FUNCTION_LINES, path, *functions)] == []
    assert [long for path in EVERYTHING for long in longer_than(MOST_CLASS_LINES, path, ast.ClassDef)] == []


def broad_handlers(path: Path) -> Iterator[tuple[str, str]]:
    functions = [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in nodes(path):
        caught: list[ast.expr | None] = []
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type]
        elif isinstance(node, ast.Call) and called(node) == "suppress":
            caught = list(node.args)
        if isinstance(node, ast.ExceptHandler | ast.Call) and any(map(is_broad, caught)):
            around = [found for found in functions if found.lineno <= node.lineno <= (found.end_lineno or 0)]
            yield name_of(path), max(around, key=lambda found: found.lineno).name if around else "<module>"


def is_broad(caught: ast.expr | None) -> bool:
    names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught else {"BaseException"}
    attributes = {node.attr for node in ast.walk(caught) if isinstance(node, ast.Attribute)} if caught else set()
    return bool((names | attributes) & {"Exception", "BaseException", "CancelledError"})


def test_everything_is_caught_only_at_the_named_boundaries() -> None:
    assert {found for path in CODE for found in broad_handlers(path)} == BROAD_EXCEPTS


def calls_in(paths: list[Path]) -> Iterator[tuple[str, ast.Call]]:
    return ((name_of(path), node) for path in paths for node in nodes(path) if isinstance(node, ast.Call))


def test_every_queue_has_a_bound() -> None:
    queues = [(name, call) for name, call in calls_in(CODE) if is_queue(call)]

    assert [(name, ast.unparse(call)) for name, call in queues if not has_bound(call)] == []


def is_queue(call: ast.Call) -> bool:
    return called(call).endswith("Queue") or called(call) == "deque"


def has_bound(call: ast.Call) -> bool:
    """A queue's bound comes first or by name, a deque's second or by name; 0 and None are none."""
    place = 1 if called(call) == "deque" else 0
    given = [
        *call.args[place : place + 1],
        *(word.value for word in call.keywords if word.arg in ("maxsize", "maxlen")),
    ]
    return any(not (isinstance(bound, ast.Constant) and not bound.value) for bound in given)


def test_tasks_start_only_on_a_task_group() -> None:
    called = [(name, call.func) for name, call in calls_in(EVERYTHING)]
    starts = [
        (name, ast.unparse(call), ast.unparse(call.value))
        for name, call in called
        if isinstance(call, ast.Attribute) and call.attr in ("create_task", "ensure_future")
    ]

    assert [(name, call) for name, call, starter in starts if not starter.endswith(("tasks", "group"))] == []


def called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Subscript(value=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name
        case _:
            return ""


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(path) for path in CODE if tree_of(path).body and not ast.get_docstring(tree_of(path))] == []


def names_in(path: Path) -> tuple[list[str], set[str]]:
    """What a module exports, and what it defines."""
    exported: list[str] = []
    defined: set[str] = set()
    for node in tree_of(path).body:
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
    return exported, defined


def test_what_a_module_exports_exists() -> None:
    names = {name_of(path): names_in(path) for path in CODE}

    assert {name: missing for name, (exported, defined) in names.items() if (missing := set(exported) - defined)} == {}
    assert {name: exported for name, (exported, _) in names.items() if exported != in_order(exported)} == {}


def in_order(names: list[str]) -> list[str]:
    """Constants first, then classes, then functions."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
