"""Runs blocking calls on an executor's threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TypeVar

from aiofiles.os import wrap

__all__ = ["on"]

T = TypeVar("T")


def on(executor: Executor, blocking: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """Return a coroutine function that runs the blocking function on this executor."""
    run = wrap(blocking)
    return lambda *args, **named: run(*args, executor=executor, **named)
