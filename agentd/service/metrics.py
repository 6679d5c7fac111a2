"""The daemon's figures in Prometheus' form, and the port on which a monitor reads them."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from agentd.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Metrics", "build_metrics", "serve_metrics"]

PATH = "/metrics"

APPEND_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""A flush takes 2 to 4 ms on a common disk; what takes a second is a disk that people notice."""

PROVIDER_BUCKETS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
"""From the embedded model's first words to a turn's usual limit."""

TASK_BUCKETS_SECONDS = (0.01, 0.05, 0.25, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
"""A task asks a model or two; the last is where an attempt is cut."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is measured, in a registry of its own: two daemons in one process do not share any."""

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
        messages_total=Counter(
            "agentd_messages_total",
            "Messages that channels handed over (those handed over again count again), by what was done with them.",
            ("channel", "outcome"),
            registry=registry,
        ),
        compactions_total=Counter(
            "agentd_compactions_total",
            "Summaries that were to be made of old turns, by what came of it.",
            ("outcome",),
            registry=registry,
        ),
        provider_errors_total=Counter(
            "agentd_provider_errors_total",
            "Requests to a model that brought no whole reply, those that were tried again included, by reason.",
            ("reason",),
            registry=registry,
        ),
        provider_seconds=_provider_seconds(registry),
        task_seconds=_task_seconds(registry),
        tasks=_tasks(registry),
        tokens_total=Counter(
            "agentd_tokens_total",
            "Tokens as the models' servers count them; cached is the part of input that came from a server's cache.",
            ("model", "kind"),
            registry=registry,
        ),
        token_estimate_ratio=Gauge(
            "agentd_token_estimate_ratio",
            "What the provider counted for the last prompt, by what was expected of it: the estimate times its factor.",
            ("model",),
            registry=registry,
        ),
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


class _Silent(WSGIRequestHandler):
    """Keeps requests out of the log."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request on a thread of its own: one that never ends keeps nobody waiting."""

    daemon_threads = True

    def __init__(self, host: str, port: int, application: WSGIApplication) -> None:
        """Bind the port, in the family of addresses that the host has first. Raises OSError, and UnicodeError."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, *_, address = found[0]
        super().__init__((str(address[0]), port), _Silent)
        self.set_app(application)


def _metrics_alone(metrics: WSGIApplication) -> WSGIApplication:
    """Serve the metrics on their own path: the library's application serves them on every one."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return metrics(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"there is {PATH} here, and nothing else\n".encode()]

    return serve


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
        server = _Server(host.strip("[]"), int(port), _metrics_alone(make_wsgi_app(metrics.registry)))
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        sentence = f"service.metrics_listen: {listen} cannot be used ({reason}): set another address or port"
        raise ConfigError(sentence) from fault
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    log.info("metrics_served", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
