from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from agentd.service.metrics import Metrics, build_metrics
from agentd.service.pages import serve_metrics


@contextmanager
def served(host: str, metrics: Metrics) -> Iterator[http.client.HTTPConnection]:
    """Serve these metrics on a free port, and be connected to it."""
    with capture_logs() as logs, serve_metrics(metrics, f"{host}:0"):
        [port] = [entry["port"] for entry in logs if entry["event"] == "metrics_served"]
        connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=10)
        yield connection
        connection.close()


def get(connection: http.client.HTTPConnection, path: str, method: str = "GET") -> tuple[int, str]:
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", pytest.param("[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"))],
)
def test_the_metrics_are_served_on_their_path(host: str) -> None:
    metrics = build_metrics()
    metrics.append_seconds.observe(0.003)
    with served(host, metrics) as connection:
        status, text = get(connection, "/metrics")
        filtered = get(connection, "/metrics?name[]=agentd_append_seconds_count")

    assert status == 200
    assert 'agentd_append_seconds_bucket{le="0.005"} 1.0' in text
    assert (filtered[0], "agentd_append_seconds_count 1.0" in filtered[1], "bucket" in filtered[1]) == (
        200,
        True,
        False,
    )


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/readyz", "/metrics/", "/metrics/x", "/Metrics", "/x/../metrics", "/etc/passwd", "/favicon.ico"],
)
def test_every_other_path_is_not_found(path: str) -> None:
    with served("127.0.0.1", build_metrics()) as connection:
        status, text = get(connection, path)

    assert status == 404
    assert "agentd_" not in text


def test_nothing_can_be_sent_to_it() -> None:
    with served("127.0.0.1", build_metrics()) as connection:
        codes = [get(connection, "/metrics", method)[0] for method in ("POST", "PUT", "DELETE")]

    assert codes == [405, 405, 405]


def test_without_an_address_nothing_listens() -> None:
    with capture_logs() as logs, serve_metrics(build_metrics(), ""):
        assert logs == []


def test_how_near_the_last_estimate_came_is_told_for_each_model() -> None:
    metrics = build_metrics()
    metrics.token_estimate_ratio.labels("a").set(1.3)
    metrics.token_estimate_ratio.labels("a").set(1.1)

    assert metrics.registry.get_sample_value("agentd_token_estimate_ratio", {"model": "a"}) == 1.1
