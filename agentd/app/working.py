"""Opens what a separate worker process needs to do background tasks: the background model, memory and the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agentd.app.models import open_models
from agentd.app.remembering import Background, open_remembering
from agentd.providers.precedence import Precedence
from agentd.service.figures import Figures
from agentd.settings import Settings
from agentd.tasks.asking import FREE
from agentd.tasks.queue import Gauges, Leaving
from agentd.transcript.clock import utc_now

if TYPE_CHECKING:
    from agentd.tasks.timing import QueueTiming

__all__ = ["open_work"]


@asynccontextmanager
async def open_work(
    settings: Settings, figures: Figures, leaving: Leaving, timing: QueueTiming | None = None
) -> AsyncIterator[None]:
    """Do background tasks until the end of the block. Raises ConfigError and StorageError.

    The tokens they cost are not counted: the daily budgets are the daemon's.
    """
    async with open_models(settings.provider, figures) as models:
        around = Background(
            provider=models.background,
            slots=asyncio.Semaphore(settings.tasks.concurrency),
            precedence=Precedence(1, cuts=False),
            allowance=FREE,
            gauges=Gauges(figures.observe_task, figures.set_tasks),
            clock=utc_now,
            leaving=leaving,
            senders_of=lambda sender: frozenset({sender}),
            timing=timing,
        )
        async with open_remembering(settings, around):
            yield
