"""These tests check that the operations handbook lists every log event, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = {"debug": 0, "info": 0, "warning": 0, "error": 0, "exception": 0, "critical": 0, "log": 1}
"""At which place of the call the event stands."""
LOGS = ("log", "_log", "logger", "get_logger()")

PASSED_ON = {"report": 0, "Form": 3, "_log_dropped": 0}
"""What takes the name of an event for another's log, and at which place."""


def event_of(call: ast.Call) -> ast.expr | None:
    """Return what stands for the event's name in a call that logs."""
    if isinstance(call.func, ast.Name) and len(call.args) > PASSED_ON.get(call.func.id, len(call.args)):
        return call.args[PASSED_ON[call.func.id]]
    if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS:
        return call.args[LEVELS[call.func.attr]] if ast.unparse(call.func.value).split(".")[-1] in LOGS else None
    return None


def strings(node: ast.AST) -> Iterator[str]:
    """Yield what may come out of an expression that chooses between names."""
    if isinstance(node, ast.IfExp):
        yield from strings(node.body)
        yield from strings(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def find_events(source: str) -> Iterator[str]:
    """Yield the names that events of a module's log may have."""
    tree = ast.parse(source)
    assigned: dict[str, list[str]] = {}
    given: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in PASSED_ON:
            given.update(argument.arg for argument in node.args.args)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).extend(strings(node.value))
    for node in ast.walk(tree):
        event = event_of(node) if isinstance(node, ast.Call) else None
        if isinstance(event, ast.Name) and event.id in given:
            continue
        if isinstance(event, ast.Name):
            yield from assigned[event.id]
        elif event is not None:
            yield from strings(event)


def test_every_event_of_the_log_is_explained_and_no_other_is() -> None:
    files = [path for package in ("agentd", "channels", "memory") for path in (ROOT / package).rglob("*.py")]
    said = {event for path in files for event in find_events(path.read_text("utf-8"))}
    _, _, table = (ROOT / "docs" / "operations.md").read_text("utf-8").partition("### Every event\n")
    explained = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert len(said) > 100
    assert sorted(said - set(explained)) == []
    assert sorted(set(explained) - said) == []
    assert len(explained) == len(set(explained))
