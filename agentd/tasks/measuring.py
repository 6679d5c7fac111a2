"""The queue's figures, on their way to the daemon's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentd.tasks.queue import Gauges

if TYPE_CHECKING:
    from agentd.service.metrics import Metrics

__all__ = ["build_gauges"]


def build_gauges(metrics: Metrics) -> Gauges:
    """Return where the queue's figures go."""
    return Gauges(
        observe_seconds=lambda task, seconds: metrics.task_seconds.labels(task).observe(seconds),
        set_count=lambda state, count: metrics.tasks.labels(state).set(count),
    )
