"""Calls beside which a process kills itself: `MODULE:NAME:before` or `MODULE:NAME:after`, with `:N` at the so-manieth.

NAME is what the caller looks up in that module: a function of ours, or a class's method ("Asker._ask"). The call is
done as it is; whatever thread it is on, the whole process ends.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from itertools import count
from typing import Any

from tests.crash.steps import kill

__all__ = ["arm"]


def arm(point: str) -> None:
    """Let this process end at the point."""
    module, name, when, *number = point.split(":")
    assert when in ("before", "after")
    *of, name = name.split(".")
    owner: Any = import_module(module)
    for part in of:
        owner = getattr(owner, part)
    setattr(owner, name, _deadly(getattr(owner, name), when == "before", int(*number or "1")))


def _deadly(call: Callable[..., Any], is_before: bool, number: int) -> Callable[..., Any]:
    """Return the same, but for its so-manieth call."""
    begun, ended = count(1), count(1)

    def pass_by(counted: count[int], counts: bool) -> None:
        if counts and next(counted) == number:
            kill()

    @wraps(call)
    async def await_it(*given: Any, **named: Any) -> Any:
        pass_by(begun, is_before)
        result = await call(*given, **named)
        pass_by(ended, not is_before)
        return result

    @wraps(call)
    def do_it(*given: Any, **named: Any) -> Any:
        pass_by(begun, is_before)
        result = call(*given, **named)
        pass_by(ended, not is_before)
        return result

    return await_it if inspect.iscoroutinefunction(call) else do_it
