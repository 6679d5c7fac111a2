"""This module runs blocking calls on daemon threads, which never delay the process's exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

__all__ = ["on_thread"]

T = TypeVar("T")


async def on_thread(work: Callable[[], T], name: str, ended: Callable[[], None] | None = None) -> T:
    """Return what `work` returns, or raise its OSError. Cancelling gives up the wait, not the work.

    Unlike with `asyncio.to_thread`, neither the loop nor the interpreter waits for the thread when it ends. `ended` is
    called in the loop once the work is over, whether or not anybody still waits for it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def conclude(settle: Callable[[], None]) -> None:
        if ended is not None:
            ended()
        if not done.done():
            settle()

    def run() -> None:
        # What remains after a bug, whose traceback the thread prints itself.
        settle: Callable[[], None] = partial(done.set_exception, RuntimeError(f"{name} failed"))
        try:
            settle = partial(done.set_result, work())
        except OSError as fault:
            settle = partial(done.set_exception, fault)
        finally:
            with suppress(RuntimeError):  # the loop may have ended meanwhile
                loop.call_soon_threadsafe(conclude, settle)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
