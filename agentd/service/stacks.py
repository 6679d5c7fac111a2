"""Says in the log where every thread stands while the event loop is stuck: afterwards it is too late to ask.

Only places in the code, no values: whatever the threads work on stays out of the log.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

from agentd.service.beating import Pulse

__all__ = ["LIMIT_SECONDS", "describe_stacks", "watch_stacks"]

LIMIT_SECONDS = 10.0
"""Without a supervisor's interval, of which it is half."""

log = structlog.get_logger()


@contextmanager
def watch_stacks(pulse: Pulse, limit_seconds: float) -> Iterator[None]:
    """Log the stacks, once, whenever the loop has not come round for so long, until the end of the block."""
    left = threading.Event()
    thread = threading.Thread(target=_watch, args=(pulse, limit_seconds, left), name="stacks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def describe_stacks() -> dict[str, list[str]]:
    """Return for each thread, by its name, where it stands, the innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        names.get(number, str(number)): [f"{at.filename}:{at.lineno} {at.name}" for at in _walk(frame)]
        for number, frame in sys._current_frames().items()
    }


def _walk(frame: FrameType) -> traceback.StackSummary:
    return traceback.StackSummary.extract(iter(list(traceback.walk_stack(frame))[::-1]), lookup_lines=False)


def _watch(pulse: Pulse, limit_seconds: float, left: threading.Event) -> None:
    told = None
    while not left.wait(limit_seconds / 4):
        felt = pulse.felt
        if pulse.age_seconds > limit_seconds and felt != told:
            told = felt
            log.error("loop_stuck", seconds=round(pulse.age_seconds, 1), stacks=describe_stacks())
