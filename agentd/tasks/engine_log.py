"""Keeps procrastinate's log from printing people's words: it logs every job with its arguments.

Its warnings and errors are logged by their kind only; `working.py` logs how tasks end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

__all__ = ["discreet"]

ENGINE = "procrastinate"
POOL = "psycopg.pool"
"""Logs each failed connection attempt; `working.py` logs once that the server is away."""

TOLD_BY_US = ("job_error", "task_not_found")

log = structlog.get_logger()


class _Discreet(logging.Handler):
    """Logs a record's kind, without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the kind."""
        action = getattr(record, "action", None)
        fault = record.exc_info[0] if record.exc_info else None
        if action not in TOLD_BY_US:
            log.warning(
                "tasks_engine_warned", action=action, source=record.name, fault=fault.__name__ if fault else None
            )


class _Before:
    """The loggers' settings before the first of several nested or overlapping blocks."""

    count = 0
    state: tuple[bool, int, int] = (True, logging.NOTSET, logging.NOTSET)


@contextmanager
def discreet() -> Iterator[None]:
    """Let only kinds through until the end of the last of these blocks."""
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
