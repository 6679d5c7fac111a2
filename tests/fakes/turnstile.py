"""This module is a fake limit on turns at once: one turn, and it tells when another comes to wait."""

from __future__ import annotations

import asyncio
from typing import Literal


class Turnstile(asyncio.Semaphore):
    """Lets one turn at a time ask the model."""

    def __init__(self) -> None:
        """Begin with nobody in it."""
        super().__init__(1)
        self.queued = asyncio.Event()
        """Set as a turn comes to wait."""

    async def acquire(self) -> Literal[True]:
        """Wait for the place."""
        if self.locked():
            self.queued.set()
        return await super().acquire()
