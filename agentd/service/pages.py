"""The port on which a monitor reads the figures, and asks whether the daemon lives and is ready."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client import make_wsgi_app

from agentd.errors import ConfigError
from agentd.service.metrics import Metrics
from agentd.service.probing import Probe

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["serve_metrics"]

METRICS = "/metrics"

NO_PROBES: Final[Mapping[str, Probe]] = {}

log = structlog.get_logger()


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


def _choose(pages: Mapping[str, WSGIApplication]) -> WSGIApplication:
    """Serve each page on its own path: the library's application serves the metrics on every one."""

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
def serve_metrics(metrics: Metrics, listen: str, probes: Mapping[str, Probe] = NO_PROBES) -> Iterator[None]:
    """Serve `/metrics`, and the probes on their paths, on `HOST:PORT` from a thread until the end.

    Nothing where that is empty.

    Raises ConfigError where the port cannot be had.
    """
    if not listen:
        yield
        return
    host, _, port = listen.rpartition(":")
    pages = {METRICS: make_wsgi_app(metrics.registry), **{path: _page(probe) for path, probe in probes.items()}}
    try:
        server = _Server(host.strip("[]"), int(port), _choose(pages))
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
