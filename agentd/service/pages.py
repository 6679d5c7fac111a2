"""Serves `/metrics`, `/healthz` and `/readyz` over HTTP to a monitor, from threads of its own.

The time of a connection and the number of connections are limited: a client that sends nothing, or never ends, costs
the daemon no more than that.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import make_wsgi_app

from agentd.errors import ConfigError
from agentd.service.listening import Place, find_place
from agentd.service.metrics import Metrics
from agentd.service.probing import Probe

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Bounds", "serve_metrics"]

METRICS = "/metrics"

NO_PROBES: Final[Mapping[str, Probe]] = {}

Request = socket.socket | tuple[bytes, socket.socket]
"""The library's type; over TCP it is the first of the two."""

NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

LOOK_SECONDS = 0.5
"""How often connections are checked for having exceeded their time."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits for clients."""

    seconds: float = 10.0
    """From the connection to the end of the answer: Prometheus' default timeout."""
    connections: int = 16
    """At once, each on a thread of its own; a monitor has one or two."""


BOUNDS = Bounds()


class _Silent(WSGIRequestHandler):
    """Handles requests without logging each."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request on a thread of its own, so that one that never ends delays no other."""

    daemon_threads = True

    def __init__(self, place: Place, application: WSGIApplication, bounds: Bounds) -> None:
        """Bind the port. Raises OSError."""
        self.address_family = place.family
        self._bounds = bounds
        self._began: dict[Request, float] = {}
        self._lock = Lock()
        self._is_full = False
        super().__init__((place.host, place.port), _Silent)
        self.set_app(application)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection; where the system has no descriptor left for it, it is not asked again at once.

        Raises OSError.
        """
        try:
            return super().get_request()
        except OSError as fault:
            if fault.errno in NONE_LEFT:
                time.sleep(LOOK_SECONDS)
            raise

    def process_request(self, request: Request, client_address: object) -> None:
        """Answer it, or close it if too many are open."""
        with self._lock:
            is_full = len(self._began) >= self._bounds.connections
            if not is_full:
                self._began[request] = time.monotonic()
        if is_full and not self._is_full:
            log.warning("metrics_refused", connections=self._bounds.connections)
        self._is_full = is_full
        if is_full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Request) -> None:
        """Close it, and make room for another."""
        with self._lock:
            self._began.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Shut connections that exceeded their time, which ends the thread that reads or writes there."""
        latest = time.monotonic() - self._bounds.seconds
        with self._lock:  # under the lock none of these is closed, so no descriptor can be another connection's by now
            for request in [request for request, began in self._began.items() if began < latest]:
                with suppress(OSError):
                    cast(socket.socket, request).shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log a fault of the daemon's; a client that disconnects is none."""
        fault = sys.exception()
        if not isinstance(fault, OSError):
            log.error("metrics_failed", exc_info=fault)


def _choose(pages: Mapping[str, WSGIApplication]) -> WSGIApplication:
    """Serve each page on its own path; the library's application would serve the metrics on every path."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        page = pages.get(environ["PATH_INFO"])
        if page is not None:
            return page(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"there is {', '.join(pages)} here, and nothing else\n".encode()]

    return serve


def _page(probe: Probe) -> WSGIApplication:
    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b""]
        answer = probe()
        status = "200 OK" if answer.is_good else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [json.dumps({"status": answer.status, "reasons": list(answer.reasons)}).encode() + b"\n"]

    return serve


@contextmanager
def serve_metrics(
    metrics: Metrics, listen: str, probes: Mapping[str, Probe] = NO_PROBES, bounds: Bounds = BOUNDS
) -> Iterator[None]:
    """Serve `/metrics`, and the probes on their paths, on `HOST:PORT` from a thread until the block ends.

    Serve nothing if `listen` is empty. Raises ConfigError if the port cannot be used.
    """
    if not listen:
        yield
        return
    pages = {METRICS: make_wsgi_app(metrics.registry), **{path: _page(probe) for path, probe in probes.items()}}
    try:
        place = find_place(listen)
        server = _Server(place, _choose(pages), bounds)
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        sentence = f"service.metrics_listen: {listen} cannot be used ({reason}): set another address or port"
        raise ConfigError(sentence) from fault
    look_seconds = min(LOOK_SECONDS, bounds.seconds / 2)
    thread = Thread(target=server.serve_forever, args=(look_seconds,), name="metrics", daemon=True)
    thread.start()
    log.info("metrics_served", host=listen.rpartition(":")[0], port=server.server_port)
    if not place.is_loopback:
        log.warning(
            "metrics_open_to_others", host=place.host, advice="bind it to loopback, or keep others away from it"
        )
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
