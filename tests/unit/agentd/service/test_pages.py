"""These tests check the HTTP pages: requests are answered, and idle connections are dropped and block nobody."""

from __future__ import annotations

import errno
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event
from typing import Any

import pytest
from structlog.testing import capture_logs

from agentd.cli.check_machine import look_at_port
from agentd.service.metrics import build_metrics
from agentd.service.pages import LOOK_SECONDS, Bounds, serve_metrics

PATIENCE_SECONDS = 10
LOOPBACK = "127.0.0.1:0"


@contextmanager
def serving(bounds: Bounds, listen: str = LOOPBACK) -> Iterator[tuple[int, list[Any]]]:
    """Serve the figures, and give the port and what is logged."""
    with capture_logs() as logs, serve_metrics(build_metrics(), listen, bounds=bounds):
        yield next(said["port"] for said in logs if said["event"] == "metrics_served"), logs


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def fetch(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/metrics")
    status = connection.getresponse().status
    connection.close()
    return status


def until_closed(connection: socket.socket, words: bytes = b"") -> bytes:
    """Send again and again, and return what came before the other end closed."""
    seen = b""
    with suppress(ConnectionError):
        connection.settimeout(0.02 if words else PATIENCE_SECONDS)
        for _ in range(500):
            with suppress(TimeoutError):
                block = connection.recv(1024)
                if not block:
                    return seen
                seen += block
            connection.sendall(words)
        raise AssertionError("it was never closed")
    return seen


@pytest.mark.parametrize("words", [b"", b"G", b"GET /metrics HTTP/1.0\r\n", b"GET /metrics HTTP/1.0\r\nX: 1\r\nX: "])
def test_who_does_not_come_to_an_end_is_let_go(words: bytes) -> None:
    with serving(Bounds(seconds=0.2)) as (port, logs), connect(port) as connection:
        connection.sendall(words)
        answer = until_closed(connection, words[-1:].strip() and b"x")
        status = fetch(port)

    assert b"200 OK" not in answer
    assert status == 200
    assert [said["event"] for said in logs] == ["metrics_served"]


def test_more_than_so_many_are_closed_at_once_and_others_come_in_after_them() -> None:
    with serving(Bounds(seconds=60, connections=3)) as (port, logs):
        with ExitStack() as held:
            for _ in range(3):
                held.enter_context(connect(port))
            refused = [until_closed(held.enter_context(connect(port))) for _ in range(2)]
        while True:
            with suppress(ConnectionError, http.client.BadStatusLine):
                status = fetch(port)
                break

    assert refused == [b"", b""]
    assert status == 200
    assert next(said["connections"] for said in logs if said["event"] == "metrics_refused") == 3


@pytest.mark.parametrize(
    ("listen", "is_open"),
    [(LOOPBACK, False), ("localhost:0", False), ("127.9.9.9:0", False), ("0.0.0.0:0", True)],
)
def test_a_port_that_others_can_reach_is_served_and_said_once(listen: str, is_open: bool) -> None:
    with serving(Bounds(seconds=0.2), listen) as (port, logs):
        pass
    (found,) = look_at_port(listen)

    assert port
    assert [said["event"] for said in logs].count("metrics_open_to_others") == is_open
    assert (found.state, "without a password" in found.text) == ("ok", is_open)


class NoneLeft(socket.socket):
    """A listener that the system has no descriptor for any more."""

    tries = 0
    asked_again = Event()

    def accept(self) -> Any:
        """Refuse, and say when that is asked for again."""
        NoneLeft.tries += 1
        if NoneLeft.tries > 1:
            self.asked_again.set()
        raise OSError(errno.EMFILE, "Too many open files")


def test_who_cannot_be_accepted_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", NoneLeft)
    with serving(Bounds()) as (port, _):
        monkeypatch.undo()
        with connect(port):
            began = time.monotonic()
            assert NoneLeft.asked_again.wait(PATIENCE_SECONDS)
            seconds = time.monotonic() - began

    assert seconds > LOOK_SECONDS / 2


def test_without_a_port_there_is_nothing_to_say_of_it() -> None:
    assert list(look_at_port("")) == []
