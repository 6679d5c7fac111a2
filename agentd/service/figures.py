"""Passes the daemon's figures on to `/metrics` if that is served, and drops them otherwise.

The Prometheus library takes a megabyte, which a daemon without metrics saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from agentd.service.probing import Probe

__all__ = ["Figures", "open_figures"]


def _drop(*_figures: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Figures:
    """One callback per figure; its arguments are the labels and value of the metric (`agentd/service/metrics.py`)."""

    observe_append: Callable[[float], None] = _drop
    count_message: Callable[[str, str], None] = _drop
    count_compaction: Callable[[str], None] = _drop
    show_token_ratio: Callable[[str, float], None] = _drop
    observe_provider: Callable[[str, float], None] = _drop
    count_provider_error: Callable[[str], None] = _drop
    count_tokens: Callable[[str, str, int], None] = _drop
    observe_task: Callable[[str, float], None] = _drop
    set_tasks: Callable[[str, int], None] = _drop
    count_restart: Callable[[str], None] = _drop
    observe_turn: Callable[[float, float], None] = _drop
    show_sessions: Callable[[str, int], None] = _drop
    show_mailbox: Callable[[int], None] = _drop
    show_contact: Callable[[str, float], None] = _drop
    show_lag: Callable[[float], None] = _drop
    count_send: Callable[[str, str], None] = _drop


@contextmanager
def open_figures(listen: str, probes: Mapping[str, Probe] | None = None) -> Iterator[Figures]:
    """Count figures, and serve them and the probes on `HOST:PORT`, until the block ends; drop them if `listen` is
    empty.

    Raises ConfigError if the port cannot be used.
    """
    if not listen:
        yield Figures()
        return
    from agentd.service.metrics import build_metrics
    from agentd.service.pages import serve_metrics

    metrics = build_metrics()

    def observe_turn(seconds: float, overhead_seconds: float) -> None:
        metrics.turn_seconds.observe(seconds)
        metrics.turn_overhead_seconds.observe(overhead_seconds)

    with serve_metrics(metrics, listen, probes or {}):
        yield Figures(
            observe_append=metrics.append_seconds.observe,
            count_message=lambda channel, outcome: metrics.messages_total.labels(channel, outcome).inc(),
            count_compaction=lambda outcome: metrics.compactions_total.labels(outcome).inc(),
            show_token_ratio=lambda model, ratio: metrics.token_estimate_ratio.labels(model).set(ratio),
            observe_provider=lambda model, seconds: metrics.provider_seconds.labels(model).observe(seconds),
            count_provider_error=lambda reason: metrics.provider_errors_total.labels(reason).inc(),
            count_tokens=lambda model, kind, count: metrics.tokens_total.labels(model, kind).inc(count),
            observe_task=lambda task, seconds: metrics.task_seconds.labels(task).observe(seconds),
            count_restart=lambda channel: metrics.channel_restarts_total.labels(channel).inc(),
            observe_turn=observe_turn,
            show_sessions=lambda state, count: metrics.sessions.labels(state).set(count),
            show_mailbox=metrics.mailbox_depth.set,
            show_contact=lambda channel, seconds: metrics.channel_last_contact_seconds.labels(channel).set(seconds),
            show_lag=metrics.loop_lag_seconds.set,
            count_send=lambda channel, outcome: metrics.sends_total.labels(channel, outcome).inc(),
            set_tasks=lambda state, count: metrics.tasks.labels(state).set(count),
        )
