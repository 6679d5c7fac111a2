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


@contextmanager
def discreet() -> Iterator[None]:
    """Let nothing but kinds through, until the end."""
    logger, pool, handler = logging.getLogger(ENGINE), logging.getLogger(POOL), _Discreet(logging.WARNING)
    before = logger.propagate, logger.level, pool.level
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    pool.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate, logger.level, pool.level = before
