"""Ends the process when a shutdown takes too long, whatever hangs.

A thread that waits for a disk or a database cannot be cancelled, and Python waits for it when it exits. What was
accepted is on disk; the next run recovers what was under way, as after a crash.
"""

from __future__ import annotations

import os
import threading

import structlog

from agentd.service.stacks import log_stacks

__all__ = ["Fuse"]

LEAST_SECONDS = 2.0
"""How long ending a process takes on a busy machine if nothing hangs."""

MARGIN_SECONDS = 0.2

log = structlog.get_logger()


class Fuse:
    """Ends the process with exit code 0, as if it had ended in time."""

    def burn(self, seconds: float) -> None:
        """End it after so many seconds; if called twice, the shorter time counts."""
        timer = threading.Timer(max(seconds, LEAST_SECONDS) - MARGIN_SECONDS, _cut)
        timer.daemon = True
        timer.name = "fuse"
        timer.start()


def _cut() -> None:
    log.error("shutdown_cut", reason="it took longer than service.drain_seconds")
    log_stacks()
    os._exit(0)
