"""The daemon's figures in Prometheus' form, and the port on which a monitor reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Histogram, start_http_server

from agentd.errors import ConfigError

__all__ = ["Metrics", "build_metrics", "serve_metrics"]

APPEND_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""A flush takes 2 to 4 ms on a common disk; what takes a second is a disk that people notice."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is measured, in a registry of its own: two daemons in one process do not share any."""

    registry: CollectorRegistry
    append_seconds: Histogram


def build_metrics() -> Metrics:
    """Begin at zero."""
    registry = CollectorRegistry()
    return Metrics(
        registry,
        append_seconds=Histogram(
            "agentd_append_seconds",
            "From a record's being handed to the store until it is on disk, flushed; waiting included.",
            buckets=APPEND_BUCKETS_SECONDS,
            registry=registry,
        ),
    )


@contextmanager
def serve_metrics(metrics: Metrics, listen: str) -> Iterator[None]:
    """Serve `/metrics` on `HOST:PORT` from a thread until the end; nothing where that is empty.

    Raises ConfigError where the port cannot be had.
    """
    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        sentence = f"service.metrics_listen: {listen} cannot be used ({reason}): set another address or port"
        raise ConfigError(sentence) from fault
    log.info("metrics_served", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
