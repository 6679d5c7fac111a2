"""How long the machine has been up: a clock that nobody sets, and that goes on when the daemon starts again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Uptime", "read_uptime"]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

BOOT_VARIABLE = "BOOT_ID"
"""Set by the unit, whose sandbox hides the file."""

BOOT_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Uptime:
    """The seconds since a start of the machine, and which start that was."""

    boot: str
    """Tells one start of the machine from another; empty: not known, and nothing can be said across processes."""
    seconds: Callable[[], float]
    """Returns the time since the machine started, also that in which it slept."""


def read_uptime() -> Uptime:
    """Return the uptime of this machine."""
    try:
        boot = BOOT_ID.read_text()
    except OSError:
        boot = os.environ.get(BOOT_VARIABLE, "")
    return Uptime(boot.strip().replace("-", "")[:BOOT_CHARACTERS], lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
