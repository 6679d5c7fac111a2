"""Opens HTTP connections to model servers, and translates connection faults into provider errors."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, Iterator

import httpx

from agentd.providers.errors import ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.faults import Server, clean_text
from agentd.providers.settings import ModelSettings

__all__ = ["CONNECTION_FAULTS", "build_server", "explain", "open_client", "parse_url", "read_at_most", "read_pieces"]

CONNECT_SECONDS = 10.0
"""A server that accepts no connection for so long is down, however long its model may take."""

IDLE_SECONDS = 30.0
"""How long an unused connection is kept open for the next request. httpx's default is 5."""

CONNECTION_FAULTS = (httpx.HTTPError, httpx.InvalidURL, UnicodeError)
"""What a request through httpx can raise; a host name that cannot be encoded surfaces as UnicodeError."""

# Each of these expands a piece of 64 KiB to some 64 MiB at worst; stacked, they would have no bound.
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})


def open_client(settings: ModelSettings) -> httpx.AsyncClient:
    """Return a client with our time limits; one for this machine ignores proxies, whatever the environment says."""
    limit = settings.timeout_seconds
    timeout = httpx.Timeout(limit, connect=min(CONNECT_SECONDS, limit))
    # Nothing compressed: a proxy that compresses also holds pieces back until it has enough of them.
    headers = {"Accept-Encoding": "identity", "User-Agent": "agentd"}
    trusts = not _is_loopback(settings.base_url)
    # Without TLS no certificate authorities are needed; they take 40 ms to load.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if settings.base_url.startswith("http://") else True
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS)
    return httpx.AsyncClient(timeout=timeout, headers=headers, trust_env=trusts, verify=verify, limits=limits)


def build_server(settings: ModelSettings, base_url: str, section: str = "provider") -> Server:
    """Return the server in a form that may be shown: without credentials or a query in its address."""
    key = settings.api_key.get_secret_value().strip()
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        return Server("the configured address", "the configured address", settings.model, key, section)
    host = url.netloc.decode("ascii", "replace") or clean_text(base_url, key)
    address = f"{url.scheme}://{host}{url.path}" if url.netloc else host
    return Server(host, address, settings.model, key, section)


def parse_url(base_url: str, path: str) -> httpx.URL:
    """Return the address of `path` under `base_url`, with or without its trailing slash; a query stays."""
    url = httpx.URL(base_url)
    return url.copy_with(path=url.path.rstrip("/") + path)


async def read_pieces(response: httpx.Response, server: Server) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes."""
    if response.headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:
        raise ProviderRefused(f"the model's server at {server.host} sent a compressed reply that nobody asked for")
    async for piece in response.aiter_bytes():
        yield piece


async def read_at_most(response: httpx.Response, server: Server, limit_bytes: int) -> bytes:
    """Return the body, cut at the limit."""
    body = bytearray()
    async for piece in read_pieces(response, server):
        body += piece
        if len(body) > limit_bytes:
            break
    return bytes(body[:limit_bytes])


def explain(exc: Exception, server: Server, timeout_seconds: float) -> ProviderError:
    """Describe why a request got no complete response; never with the exception's own words."""
    section = server.section
    if isinstance(exc, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return ProviderRefused(
            f"the model's server has no usable address: set {section}.base_url to http(s)://host/path"
        )
    if isinstance(exc, httpx.LocalProtocolError):
        return ProviderRefused(
            f"no valid request to {server.host} could be made: check {section}.base_url and {section}.api_key"
        )
    return ProviderRetryable(_explain_broken(exc, server, timeout_seconds))


def _explain_broken(exc: Exception, server: Server, timeout_seconds: float) -> str:
    host, section = server.host, server.section
    the_server = f"the model's server at {host}"
    if isinstance(exc, httpx.ProxyError):
        return f"the proxy on the way to {host} failed: check the proxy settings of the environment"
    if isinstance(exc, httpx.ConnectTimeout):
        seconds = min(CONNECT_SECONDS, timeout_seconds)
        return f"{the_server} accepted no connection within {seconds:g} s: check that it runs and can be reached"
    if isinstance(exc, httpx.PoolTimeout):
        return f"too many requests to {host} wait for a connection: try again later"
    if isinstance(exc, httpx.TimeoutException):
        return f"{the_server} was silent for {timeout_seconds:g} s: try again, or raise {section}.timeout_seconds"
    causes = tuple(_causes(exc))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return f"{the_server} has a TLS certificate that this machine does not trust: check {section}.base_url"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"{the_server} could not agree on TLS: check http or https in {section}.base_url"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the name of the model's server, {host}, was not found: check {section}.base_url and the network"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{the_server} refused the connection: check that it runs, and {section}.base_url"
    if isinstance(exc, httpx.ConnectError):
        return f"{the_server} could not be reached: check {section}.base_url and the network"
    return f"the connection to {the_server} broke: try again"


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    # httpx wraps httpcore, which wraps anyio, which groups the faults of a host's several addresses.
    while exc is not None:
        yield exc
        if isinstance(exc, BaseExceptionGroup):
            for member in exc.exceptions:
                yield from _causes(member)
        exc = exc.__cause__ or exc.__context__


def _is_loopback(base_url: str) -> bool:
    try:
        host = httpx.URL(base_url).host
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except (httpx.InvalidURL, ValueError):
        return False
