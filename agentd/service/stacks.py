"""Logs a stack dump of every thread while the event loop is stuck, before the watchdog kills the process.

Only places in the code, no values: the data that the threads work on stays out of the log.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType

import structlog

from agentd.service.beating import Pulse

__all__ = ["LIMIT_SECONDS", "log_stacks", "watch_stacks"]

LIMIT_SECONDS = 10.0
"""The limit without a watchdog; with one it is half the watchdog's interval."""

MOST_CALLS = 40
"""Per thread, the innermost calls, since a log line has a limit."""

log = structlog.get_logger()


@contextmanager
def watch_stacks(pulse: Pulse, limit_seconds: float) -> Iterator[None]:
    """Log the stacks once each time the loop has been stuck for so long, until the end of the block."""
    left = threading.Event()
    thread = threading.Thread(target=_watch, args=(pulse, limit_seconds, left), name="stacks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def log_stacks() -> None:
    """Log each thread's calls, innermost first; the main thread, which runs the loop, comes first."""
    frames = sys._current_frames()
    for thread in sorted(threading.enumerate(), key=lambda thread: thread is not threading.main_thread()):
        frame = frames.get(thread.ident or 0)
        if frame is not None:
            log.error("thread_stood", thread=thread.name, calls=list(_places(frame)))


def _places(frame: FrameType) -> Iterator[str]:
    for at, line in islice(traceback.walk_stack(frame), MOST_CALLS):
        yield f"{at.f_code.co_filename}:{line} {at.f_code.co_name}"


def _watch(pulse: Pulse, limit_seconds: float, left: threading.Event) -> None:
    told = None
    while not left.wait(limit_seconds / 4):
        felt = pulse.felt
        if pulse.age_seconds > limit_seconds and felt != told:
            told = felt
            log.error("loop_stuck", seconds=round(pulse.age_seconds, 1))
            log_stacks()
