from __future__ import annotations

import socket
import ssl

import httpx
import pytest

from agentd.providers.errors import ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.faults import Server
from agentd.providers.settings import ModelSettings
from agentd.providers.transport import build_server, explain, open_client, parse_url

SERVER = Server("models.example", "https://models.example/v1", "tiny", "sk-planted")


def settings(base_url: str = "", timeout_seconds: float = 120) -> ModelSettings:
    return ModelSettings(base_url=base_url, max_output_tokens=64, temperature=0.7, timeout_seconds=timeout_seconds)


def caused(exc: Exception, *causes: BaseException) -> Exception:
    link: BaseException = exc
    for cause in causes:
        link.__cause__ = cause
        link = cause
    return exc


@pytest.mark.parametrize(
    ("exc", "kind", "words"),
    [
        (caused(httpx.ConnectError("x"), OSError(), ConnectionRefusedError()), ProviderRetryable, "refused the conn"),
        (
            caused(httpx.ConnectError("x"), OSError(), BaseExceptionGroup("x", [ConnectionRefusedError(), OSError()])),
            ProviderRetryable,
            "refused the conn",
        ),
        (caused(httpx.ConnectError("x"), socket.gaierror(-2, "x")), ProviderRetryable, "was not found"),
        (caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError()), ProviderRetryable, "does not trust"),
        (caused(httpx.ConnectError("x"), ssl.SSLError()), ProviderRetryable, "TLS"),
        (httpx.ConnectError("x"), ProviderRetryable, "could not be reached"),
        (httpx.ConnectTimeout("x"), ProviderRetryable, "no connection within 10 s"),
        (httpx.ReadTimeout("x"), ProviderRetryable, "silent for 120 s"),
        (httpx.PoolTimeout("x"), ProviderRetryable, "wait for a connection"),
        (httpx.ProxyError("x"), ProviderRetryable, "the proxy"),
        (httpx.ReadError("x"), ProviderRetryable, "broke"),
        (httpx.RemoteProtocolError("x"), ProviderRetryable, "broke"),
        (httpx.LocalProtocolError("Illegal header value b'Bearer sk-planted'"), ProviderRefused, "provider.api_key"),
        (httpx.UnsupportedProtocol("x"), ProviderRefused, "set provider.base_url"),
        (httpx.InvalidURL("x"), ProviderRefused, "set provider.base_url"),
    ],
)
def test_each_broken_connection_is_said_plainly(exc: Exception, kind: type[ProviderError], words: str) -> None:
    error = explain(exc, SERVER, 120)

    assert isinstance(error, kind)
    assert words in str(error)
    assert "sk-planted" not in str(error)


@pytest.mark.parametrize(
    ("base_url", "host", "shown"),
    [
        ("http://127.0.0.1:8080/v1", "127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("https://u:secret@models.example/v1?token=secret", "models.example", "https://models.example/v1"),
        ("http://[::1]:8080/v1", "[::1]:8080", "http://[::1]:8080/v1"),
        ("localhost:8080/v1", "localhost:8080/v1", "localhost:8080/v1"),
        ("http://h:port/v1", "the configured address", "the configured address"),
    ],
)
def test_an_address_is_shown_without_its_secrets(base_url: str, host: str, shown: str) -> None:
    server = build_server(settings(base_url=base_url), base_url)

    assert (server.host, server.base_url) == (host, shown)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://h/v1", "http://h/v1/chat/completions"),
        ("http://h/v1/", "http://h/v1/chat/completions"),
        ("http://h", "http://h/chat/completions"),
        ("http://h/v1?api-version=2", "http://h/v1/chat/completions?api-version=2"),
    ],
)
def test_the_path_is_added_to_any_address(base_url: str, url: str) -> None:
    assert str(parse_url(base_url, "/chat/completions")) == url


@pytest.mark.parametrize(
    ("base_url", "trusted"),
    [
        ("https://models.example/v1", True),
        ("http://192.168.1.5:11434/v1", True),
        ("http://127.0.0.1:11434/v1", False),
        ("http://127.9.9.9/v1", False),
        ("http://[::1]:11434/v1", False),
        ("http://localhost:11434/v1", False),
        ("http://models.localhost/v1", False),
        ("http://h:port/", True),
    ],
)
async def test_this_machine_is_never_reached_through_a_proxy(base_url: str, trusted: bool) -> None:
    async with open_client(settings(base_url=base_url)) as client:
        assert client.trust_env is trusted


async def test_a_short_patience_holds_for_connecting_too() -> None:
    async with open_client(settings(timeout_seconds=3)) as client:
        assert client.timeout == httpx.Timeout(3)
    async with open_client(settings(timeout_seconds=300)) as client:
        assert client.timeout == httpx.Timeout(300, connect=10)
