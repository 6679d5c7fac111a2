"""Keeps the engine's log from printing what tasks carry: it names every job with its arguments.

What it says of warnings and worse is logged by its kind; how tasks end is said in `working.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

__all__ = ["discreet"]

ENGINE = "procrastinate"
POOL = "psycopg.pool"
"""Says with each try that a server is away; that it is, is said once, in `working.py`."""

TOLD_BY_US = ("job_error", "task_not_found")

log = structlog.get_logger()


class _Discreet(logging.Handler):
    """Logs a record without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say what it is about."""
        action = getattr(record, "action", None)
        fault = record.exc_info[0] if record.exc_info else None
        if action not in TOLD_BY_US:
            log.warning(
                "tasks_engine_warned", action=action, source=record.name, fault=fault.__name__ if fault else None
            )


class _Before:
    """How the loggers were before the first of those that are discreet at once: they may end in any order."""

    count = 0
    state: tuple[bool, int, int] = (True, logging.NOTSET, logging.NOTSET)


@contextmanager
def discreet() -> Iterator[None]:
    """Let nothing but kinds through, until the end of the last block that wants so."""
    logger, pool = logging.getLogger(ENGINE), logging.getLogger(POOL)
    if not _Before.count:
        _Before.state = logger.propagate, logger.level, pool.level
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        logger.addHandler(_HANDLER)
        pool.setLevel(logging.ERROR)
    _Before.count += 1
    try:
        yield
    finally:
        _Before.count -= 1
        if not _Before.count:
            logger.removeHandler(_HANDLER)
            logger.propagate, logger.level, pool.level = _Before.state


_HANDLER = _Discreet(logging.WARNING)
