"""Feeds systemd's watchdog (WATCHDOG=1) as long as the daemon makes progress, and withholds it otherwise."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agentd.service.notifying import Notifier
from agentd.service.vitals import Vitals

__all__ = ["SHARE", "Watchdog"]

SHARE = 4
"""Notifications per watchdog interval; systemd wants at least two (sd_watchdog_enabled(3))."""

log = structlog.get_logger()


class Watchdog:
    """Called at every beat; notifies the watchdog when that is due."""

    def __init__(self, notifier: Notifier, vitals: Vitals, monotonic: Callable[[], float]) -> None:
        """Begin with a notification that is due."""
        self._notifier = notifier
        self._vitals = vitals
        self._monotonic = monotonic
        self._next = monotonic()
        self._withheld: list[str] = []

    def step(self) -> None:
        """Notify the watchdog if that is due and all is well; otherwise log once why it is withheld."""
        faults = self._vitals.faults()
        if faults and not self._withheld:
            log.error("watchdog_withheld", reasons=faults, supervised=self._notifier.watchdog_seconds is not None)
        elif self._withheld and not faults:
            log.info("watchdog_resumed")
        self._withheld = faults
        seconds = self._notifier.watchdog_seconds
        if seconds is None or faults or self._monotonic() < self._next:
            return
        self._next = self._monotonic() + seconds / SHARE
        self._notifier.live()
