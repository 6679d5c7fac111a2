"""Defines the Prometheus metrics that `/metrics` serves."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics", "build_metrics"]

APPEND_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""A flush takes 2 to 4 ms on a common disk; people notice a disk that takes a second."""

PROVIDER_BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
"""From the embedded model's first words to the usual time limit of a turn."""

OVERHEAD_BUCKETS_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 15)
"""A few flushes and two platform calls; what takes seconds waits for the platform's rate limits."""

TASK_BUCKETS_SECONDS = (0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
"""A task asks a model once or twice; the last bucket is where an attempt is cut."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics, in a registry of their own: two daemons in one process share none."""

    registry: CollectorRegistry
    append_seconds: Histogram
    messages_total: Counter
    compactions_total: Counter
    provider_errors_total: Counter
    provider_seconds: Histogram
    task_seconds: Histogram
    tasks: Gauge
    tokens_total: Counter
    token_estimate_ratio: Gauge
    turn_seconds: Histogram
    turn_overhead_seconds: Histogram
    sessions: Gauge
    mailbox_depth: Gauge
    channel_last_contact_seconds: Gauge
    channel_restarts_total: Counter
    loop_lag_seconds: Gauge
    sends_total: Counter


MESSAGES_TOTAL_TEXT = (
    "Messages that channels handed over (those handed over again count again), by what was done with them."
)
COMPACTIONS_TOTAL_TEXT = "Summaries that were to be made of old turns, by what came of it."
PROVIDER_ERRORS_TOTAL_TEXT = (
    "Requests to a model that brought no whole reply, those that were tried again included, by reason."
)
TOKENS_TOTAL_TEXT = (
    "Tokens as the models' servers count them; cached is the part of input that came from a server's cache."
)
ESTIMATE_RATIO_TEXT = (
    "What the provider counted for the last prompt, by what was expected of it: the estimate times its factor."
)
SENDS_TOTAL_TEXT = "Messages that were to be sent, by what the platform said."
CHANNEL_LAST_CONTACT_SECONDS_TEXT = "Since the platform last answered; +Inf: never."
CHANNEL_RESTARTS_TOTAL_TEXT = "Restarts of channels that failed or were stuck."


def build_metrics() -> Metrics:
    """Create the metrics, at zero."""
    registry = CollectorRegistry()
    return Metrics(
        registry,
        append_seconds=_append_seconds(registry),
        messages_total=_counter(registry, "messages_total", MESSAGES_TOTAL_TEXT, "channel", "outcome"),
        compactions_total=_counter(registry, "compactions_total", COMPACTIONS_TOTAL_TEXT, "outcome"),
        provider_errors_total=_counter(registry, "provider_errors_total", PROVIDER_ERRORS_TOTAL_TEXT, "reason"),
        provider_seconds=_provider_seconds(registry),
        task_seconds=_task_seconds(registry),
        tasks=_tasks(registry),
        tokens_total=_counter(registry, "tokens_total", TOKENS_TOTAL_TEXT, "model", "kind"),
        token_estimate_ratio=_gauge(registry, "token_estimate_ratio", ESTIMATE_RATIO_TEXT, "model"),
        turn_seconds=_turn_seconds(registry),
        turn_overhead_seconds=_turn_overhead_seconds(registry),
        sessions=_gauge(registry, "sessions", "Sessions in memory, by whether a message waits in them.", "state"),
        mailbox_depth=_gauge(registry, "mailbox_depth", "Messages that no reply was made for yet, of those sessions."),
        channel_last_contact_seconds=_gauge(
            registry, "channel_last_contact_seconds", CHANNEL_LAST_CONTACT_SECONDS_TEXT, "channel"
        ),
        channel_restarts_total=_counter(registry, "channel_restarts_total", CHANNEL_RESTARTS_TOTAL_TEXT, "channel"),
        loop_lag_seconds=_gauge(registry, "loop_lag_seconds", "How much later the event loop came round than asked."),
        sends_total=_counter(registry, "sends_total", SENDS_TOTAL_TEXT, "channel", "outcome"),
    )


def _append_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "agentd_append_seconds",
        "From a record's being handed to the store until it is on disk, flushed; waiting included.",
        buckets=APPEND_BUCKETS_SECONDS,
        registry=registry,
    )


def _gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"agentd_{name}", text, labels, registry=registry)


def _counter(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Counter:
    return Counter(f"agentd_{name}", text, labels, registry=registry)


def _turn_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "agentd_turn_seconds",
        "From the moment a turn was begun until its reply, or why there is none, was delivered and kept.",
        buckets=PROVIDER_BUCKETS_SECONDS,
        registry=registry,
    )


def _turn_overhead_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "agentd_turn_overhead_seconds",
        "The same, less the time in which the model was waited for.",
        buckets=OVERHEAD_BUCKETS_SECONDS,
        registry=registry,
    )


def _provider_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "agentd_provider_seconds",
        "From a request to a model until the end of its reply; without those that brought no whole reply.",
        ("model",),
        buckets=PROVIDER_BUCKETS_SECONDS,
        registry=registry,
    )


def _task_seconds(registry: CollectorRegistry) -> Histogram:
    return Histogram(
        "agentd_task_seconds",
        "How long attempts at background tasks took, whatever came of them.",
        ("task",),
        buckets=TASK_BUCKETS_SECONDS,
        registry=registry,
    )


def _tasks(registry: CollectorRegistry) -> Gauge:
    return Gauge(
        "agentd_tasks",
        "Background tasks that are kept, by their state; failed are those that are not tried any more.",
        ("state",),
        registry=registry,
    )
